"""An emulator of OVHcloud AI Training: the same API, jobs as containers or plain processes."""
