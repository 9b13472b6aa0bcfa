"""What FID looks at, and whether a gain is real: scores with a second opinion, audits, reports."""
