"""What every benchmark needs: commands and workers that are measured, turns, records that are kept, and pages."""
