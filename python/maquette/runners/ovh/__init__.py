"""Jobs on OVHcloud AI Training, over its REST API; needs no other program."""
