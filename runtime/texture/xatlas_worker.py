"""The child process of `unwrap`: one mesh in on stdin, its atlas out on stdout.

It is run by path, in an isolated interpreter, and imports nothing of this project: numpy and xatlas
are all that its start costs. Arguments: texture size, padding in texels, seconds that it may take, the
path of `engines/machine/parent.py`, the id of the process that started it, then the folders that hold the two
packages. In: two little-endian int64 (vertex count, face count), then float32 positions and
uint32 faces. Out: one int64 (vertex count), then uint32 source vertices, uint32 faces, float32
texture coordinates.
"""

import faulthandler
import runpy
import sys


def main() -> None:
    """Read, unwrap, write; any exception ends the process with status 1 and its text on stderr."""
    resolution, padding = int(sys.argv[1]), int(sys.argv[2])
    # Whoever started it ends it sooner; this is for systems where it may outlive that process.
    faulthandler.dump_traceback_later(float(sys.argv[3]) + 1.0, exit=True)
    runpy.run_path(sys.argv[4])["end_with_parent"](int(sys.argv[5]))
    sys.path[:0] = sys.argv[6:]
    import numpy as np
    import xatlas

    data = sys.stdin.buffer.read()
    vertex_count, face_count = np.frombuffer(data, "<i8", 2)
    positions = np.frombuffer(data, "<f4", vertex_count * 3, 16).reshape(-1, 3)
    faces = np.frombuffer(data, "<u4", face_count * 3, 16 + positions.nbytes).reshape(-1, 3)

    atlas = xatlas.Atlas()
    atlas.add_mesh(positions, faces)
    packing = xatlas.PackOptions()
    packing.resolution = resolution
    packing.padding = padding
    atlas.generate(xatlas.ChartOptions(), packing)
    source, new_faces, uvs = atlas.get_mesh(0)

    out = sys.stdout.buffer
    out.write(np.int64(len(source)).astype("<i8").tobytes())
    for array, dtype in ((source, "<u4"), (new_faces, "<u4"), (uvs, "<f4")):
        out.write(np.ascontiguousarray(array, dtype).tobytes())


if __name__ == "__main__":
    main()
