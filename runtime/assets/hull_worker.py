"""The child process of `collision`: one mesh in on stdin, the corners of its convex parts out on stdout.

It is run by path, in an isolated interpreter, and imports nothing of this project. Arguments: "coacd" or "vhacdx", "closed" or
"open" as the mesh is, the most parts, and what `run_isolated` adds. In: two little-endian int64 (vertex count, face count), then float32
positions and uint32 faces. Out: one int64, the number of parts, then for each an int64 count and its corners as float32.
"""

import faulthandler
import os
import runpy
import sys


def main() -> None:
    """Read, decompose, write; any exception ends the process with status 1 and its text on stderr."""
    library, parts = sys.argv[1], int(sys.argv[3])
    faulthandler.dump_traceback_later(float(sys.argv[4]) + 1.0, exit=True)
    runpy.run_path(sys.argv[5])["end_with_parent"](int(sys.argv[6]))
    sys.path[:0] = sys.argv[7:]
    # What the libraries print goes to standard error: standard output is for the answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import numpy as np

    data = sys.stdin.buffer.read()
    vertex_count, face_count = np.frombuffer(data, "<i8", 2)
    positions = np.frombuffer(data, "<f4", vertex_count * 3, 16).reshape(-1, 3).astype(np.float64)
    faces = np.frombuffer(data, "<u4", face_count * 3, 16 + positions.size * 4).reshape(-1, 3)
    if library == "coacd":
        import coacd

        coacd.set_log_level("error")
        # Far quicker than its defaults, which took 113 s where this takes 4: docs/assets.md.
        found = coacd.run_coacd(coacd.Mesh(positions, faces.astype(np.int32)), threshold=0.08,
                                preprocess_mode="off" if sys.argv[2] == "closed" else "on", resolution=500,
                                mcts_iterations=40, mcts_nodes=10, max_convex_hull=parts, seed=0)
    else:
        import vhacdx

        triangles = np.concatenate([np.full((len(faces), 1), 3, np.uint32), faces], axis=1).ravel()
        found = vhacdx.compute_vhacd(positions, triangles, maxConvexHulls=parts, resolution=20_000)
    out.write(np.int64(len(found)).astype("<i8").tobytes())
    for vertices, _ in found:
        points = np.ascontiguousarray(vertices, "<f4").reshape(-1, 3)
        out.write(np.int64(len(points)).astype("<i8").tobytes() + points.tobytes())
    out.close()


if __name__ == "__main__":
    main()
