"""`make view`: all scenes of this machine as pages, with the web page of each inside."""
