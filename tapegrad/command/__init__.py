"""What `python -m tapegrad` does: config, bench, show, explore and warmup. The command line itself is __main__.py."""
