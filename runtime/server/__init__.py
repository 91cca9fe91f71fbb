"""`meshwright serve`: a local HTTP server with a queue of tasks and a page; needs the extra `serve`."""
