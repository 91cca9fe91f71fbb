"""A web page on this machine: type a prompt, see the six views and the mesh, download the GLB.

    python docs/examples/web_view.py --port 8000

One request at a time, because a pipeline serves one run at a time.
"""

import argparse
import base64
import io
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from meshwright.runtime import Generation, MeshwrightError, Pipeline

FORM = """<!doctype html><meta charset="utf-8"><title>Meshwright</title>
<form><input name="prompt" size="50" value="{prompt}" placeholder="a red chair"> <button>Make</button></form>{result}"""


def image(pixels: np.ndarray) -> str:
    """An <img> that holds its picture. pixels : (h, w, 3) uint8"""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f'<img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


class Handler(BaseHTTPRequestHandler):
    pipe: Pipeline
    glb = b""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/mesh.glb" and Handler.glb:
            self.answer(Handler.glb, "model/gltf-binary")
        elif url.path == "/":
            prompt = parse_qs(url.query).get("prompt", [""])[0]
            page = FORM.format(prompt=escape(prompt), result=self.result(prompt) if prompt else "")
            self.answer(page.encode(), "text/html; charset=utf-8")
        else:
            self.send_error(404)

    def result(self, prompt: str) -> str:
        try:
            made = self.pipe.generate(prompt)
        except MeshwrightError as error:
            return f"<p>{escape(str(error))}"
        return self.shown(made)

    def shown(self, made: Generation) -> str:
        Handler.glb = made.encode(Path("mesh.glb"))[Path("mesh.glb")]
        views = (np.rint(made.stages.views * 255)).astype(np.uint8)
        return (f"<h2>Views</h2>{''.join(map(image, views))}<h2>Mesh, front and back</h2>{image(made.preview(384))}"
                f'<p><a href="/mesh.glb" download>mesh.glb</a>, {len(made.mesh.faces)} triangles, {made.timings["total"]:.1f} s')

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    options = parser.parse_args()
    with Pipeline.open("props") as Handler.pipe, HTTPServer(("127.0.0.1", options.port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
