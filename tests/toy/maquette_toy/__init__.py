"""A method as small as one can be: it puts a ball where each camera was."""
