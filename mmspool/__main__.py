"""``python -m mmspool`` is the command ``mmspool``."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="mmspool")
