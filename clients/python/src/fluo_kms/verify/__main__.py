"""`python -m fluo_kms.verify`."""

import sys

from fluo_kms.verify.command import main

if __name__ == "__main__":
    sys.exit(main())
