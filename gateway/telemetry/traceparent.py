"""The header by which a caller says what a request is a part of."""

import re

# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
