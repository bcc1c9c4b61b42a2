"""`make openapi`: prints the document."""

import sys

from delivery.openapi.document import written

sys.stdout.write(written())
