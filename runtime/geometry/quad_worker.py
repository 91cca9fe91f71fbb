"""The child process of `quads`: one mesh in on stdin, one of quads out on stdout.

It is run by path, in an isolated interpreter, and imports nothing of this project. Arguments: about how many quads, and what `run_isolated`
adds. In: two little-endian int64 (vertex count, face count), then float32 positions and uint32 faces. Out: the same, with four corners a
face.
"""

import faulthandler
import os
import runpy
import sys
import tempfile


def main() -> None:
    """Read, remesh, write; any exception ends the process with status 1 and its text on stderr."""
    quads = int(sys.argv[1])
    faulthandler.dump_traceback_later(float(sys.argv[2]) + 1.0, exit=True)
    runpy.run_path(sys.argv[3])["end_with_parent"](int(sys.argv[4]))
    sys.path[:0] = sys.argv[5:]
    # What the library prints goes to standard error: standard output is for the answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import numpy as np
    import pyinstantmeshes

    data = sys.stdin.buffer.read()
    vertex_count, face_count = np.frombuffer(data, "<i8", 2)
    positions = np.frombuffer(data, "<f4", vertex_count * 3, 16).reshape(-1, 3)
    faces = np.frombuffer(data, "<u4", face_count * 3, 16 + positions.size * 4).reshape(-1, 3)
    with tempfile.TemporaryDirectory() as folder:
        given, made = os.path.join(folder, "in.obj"), os.path.join(folder, "out.obj")
        with open(given, "w", encoding="ascii") as file:
            file.writelines(f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in positions.tolist())
            file.writelines(f"f {a} {b} {c}\n" for a, b, c in (faces.astype(np.int64) + 1).tolist())
        # It makes a quad of each third of a triangle, and of each quarter of a quad.
        pyinstantmeshes.remesh_file(given, made, target_face_count=max(quads // 4, 4), pure_quad=True, deterministic=True)
        with open(made, encoding="ascii") as file:
            rows = [line.split() for line in file]
    vertices = np.array([row[1:4] for row in rows if row[:1] == ["v"]], "<f4")
    corners = np.array([[corner.split("/")[0] for corner in row[1:]] for row in rows if row[:1] == ["f"]], "<i8") - 1
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ValueError("not all faces have four corners")
    out.write(np.array([len(vertices), len(corners)], "<i8").tobytes() + vertices.tobytes() + corners.astype("<u4").tobytes())
    out.close()


if __name__ == "__main__":
    main()
