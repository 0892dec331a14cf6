"""`report.html`: what became of a scene, as one page that opens anywhere."""
