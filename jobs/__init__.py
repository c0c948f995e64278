"""What is done each night: one file a job."""
