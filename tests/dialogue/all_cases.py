"""All cases, by the file they stand in."""
import cases_chunking
import cases_content
import cases_extensions
import cases_limits
import cases_order
import cases_syntax

GROUPS = {
    "order": cases_order.CASES,
    "syntax": cases_syntax.CASES,
    "limits": cases_limits.CASES,
    "content": cases_content.CASES,
    "chunking": cases_chunking.CASES,
    "extensions": cases_extensions.CASES,
}
ALL = [case for group in GROUPS.values() for case in group]
