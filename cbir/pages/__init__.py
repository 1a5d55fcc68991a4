"""Self-contained HTML pages: contact sheets, duplicates and evaluation reports, in one style."""
