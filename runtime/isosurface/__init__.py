"""From a signed distance field to triangles."""
