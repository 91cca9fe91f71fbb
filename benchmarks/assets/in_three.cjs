// node in_three.cjs MODULES OUT FILE.glb ...: prints what three.js makes of GLB files in headless Chromium, and pictures of them.
// MODULES: a node_modules folder with three and playwright-core.
const fs = require('fs');
const http = require('http');
const path = require('path');

const [modules, out, ...files] = process.argv.slice(2);
const { chromium } = require(path.join(modules, 'playwright-core'));
const TYPES = { '.js': 'text/javascript', '.glb': 'model/gltf-binary' };
const PAGE = `<!doctype html><body style="margin:0"><script type="importmap">
{"imports": {"three": "/three/build/three.module.js", "three/addons/": "/three/examples/jsm/"}}</script>
<script type="module">
import * as THREE from 'three';
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';
const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
renderer.setSize(256, 256);
document.body.appendChild(renderer.domElement);
window.show = async (name) => {
  const gltf = await new GLTFLoader().loadAsync('/files/' + name);
  const scene = new THREE.Scene();
  scene.background = new THREE.Color(1, 1, 1);
  scene.add(gltf.scene, new THREE.HemisphereLight(0xffffff, 0x888888, 3));
  const objects = [];
  gltf.scene.traverse((node) => {
    if (!node.isMesh) return;
    const map = node.material.map;
    objects.push({ name: node.name, parent: node.parent.name, triangles: node.geometry.index.count / 3,
                   texture: map ? map.image.width : 0, normal: node.material.normalMap ? node.material.normalMap.image.width : 0 });
    node.visible = !/UCX_|UBX_|_hull_|_box_|_LOD[1-9]/.test(node.name);
  });
  const box = new THREE.Box3().setFromObject(gltf.scene);
  const middle = box.getCenter(new THREE.Vector3());
  const reach = box.getSize(new THREE.Vector3()).length() / 2;
  const camera = new THREE.PerspectiveCamera(34, 1, reach / 100, reach * 100);
  camera.position.copy(middle).addScaledVector(new THREE.Vector3(0.6, 0.5, 1).normalize(), reach * 4);
  camera.lookAt(middle);
  renderer.render(scene, camera);
  return { objects, low: box.min.toArray(), high: box.max.toArray() };
};
window.ready = true;
</script></body>`;

const server = http.createServer((request, response) => {
  const url = decodeURIComponent(request.url);
  const found = url === '/' ? null : url.startsWith('/files/') ? files.find((file) => path.basename(file) === url.slice(7)) :
    path.join(modules, url);
  if (url !== '/' && (!found || !fs.existsSync(found))) return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': found ? TYPES[path.extname(found)] || 'application/octet-stream' : 'text/html' });
  response.end(found ? fs.readFileSync(found) : PAGE);
});

server.listen(0, '127.0.0.1', async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 256, height: 256 } });
    page.on('pageerror', (error) => console.error(String(error)));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction('window.ready');
    const report = {};
    for (const file of files) {
      const name = path.basename(file);
      report[name] = await page.evaluate((each) => window.show(each), name);
      await page.screenshot({ path: path.join(out, name.replace('.glb', '.png')) });
    }
    process.stdout.write(JSON.stringify(report));
  } finally {
    await browser.close();
    server.close();
  }
});
