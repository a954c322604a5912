// The heart in 3D: surfaces from what is embedded, how they are lit, and where they are looked at from.

// Light from the eye, from the upper left and from all around: sides show by their slope, none is black. A see-through surface is glass: clear where it
// faces the eye, and it shows its form at its edges; what lies behind keeps its colour.
const LIGHT = `#version 300 es
precision highp int;
precision highp float;
uniform float opacity;
in vec4 vClr;
in vec3 vN;
out vec4 color;
void main() {
  vec3 n = normalize(vN);
  if (n.z > 0.0) n = -n;
  vec3 key = normalize(vec3(-0.45, 0.6, -0.66));
  float around = 0.5 + 0.5 * n.y;
  float lit = max(dot(n, key), 0.0);
  float shine = pow(max(dot(normalize(key + vec3(0.0, 0.0, -1.0)), n), 0.0), 28.0);
  float facing = -n.z;
  vec3 rgb = vClr.rgb * (0.44 + 0.3 * facing + 0.12 * around + 0.28 * lit) + 0.14 * shine;
  float edge = pow(1.0 - facing, 1.6);
  color = vec4(rgb, opacity >= 1.0 ? 1.0 : clamp(opacity * (0.14 + 2.4 * edge) + 0.2 * shine, 0.0, 1.0));
}`;

// From where: azimuth and elevation in NiiVue's degrees.
const SEEN_FROM = { front: [195, 20], base: [180, 89.9], apex: [180, -89.9], rv: [262, 8], lv: [98, 8], back: [0, 8] };

async function surfaceOf(packed, structure, gl) {
  const counts = new Uint16Array(await unpack(packed.points));
  const bytes = await unpack(packed.faces);
  const faces = packed.face_bytes === 2 ? new Uint16Array(bytes) : new Uint32Array(bytes);
  const points = Float32Array.from(counts, (count, n) => packed.low_mm[n % 3] + count * packed.step_mm);
  const mesh = new globalThis.niivue.NVMesh(points, Uint32Array.from(faces), structure.name, new Uint8Array([...structure.rgb, 255]), 1, false, gl);
  return { mesh, points };
}

// Each acquired slice as a thin frame around the heart.
function framesOf(heights, meshes, gl) {
  if (!heights.length || !meshes.length) return null;
  const low = [0, 1].map((k) => Math.min(...meshes.map(({ mesh }) => mesh.extentsMin[k])) - 6);
  const high = [0, 1].map((k) => Math.max(...meshes.map(({ mesh }) => mesh.extentsMax[k])) + 6);
  const points = [], faces = [], width = 1;
  for (const z of heights) {
    const first = points.length / 3;
    for (const inset of [0, width])
      for (const [x, y] of [[low[0] + inset, low[1] + inset], [high[0] - inset, low[1] + inset], [high[0] - inset, high[1] - inset], [low[0] + inset, high[1] - inset]])
        points.push(x, y, z);
    for (let a = 0; a < 4; a++) {
      const b = (a + 1) % 4, quad = [first + a, first + b, first + 4 + b, first + 4 + a];
      faces.push(quad[0], quad[1], quad[2], quad[0], quad[2], quad[3], quad[2], quad[1], quad[0], quad[3], quad[2], quad[0]);
    }
  }
  return new globalThis.niivue.NVMesh(Float32Array.from(points), Uint32Array.from(faces), "slices", new Uint8Array([140, 146, 153, 255]), 1, false, gl);
}

// Look from there, so that the heart of all phases fills the pane above its buttons.
function lookFrom(solid, meshes, [azimuth, elevation]) {
  solid.setRenderAzimuthElevation(azimuth, elevation);
  if (!meshes.length) return;
  const a = ((azimuth - 180) * Math.PI) / 180, e = ((270 - elevation) * Math.PI) / 180;
  const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  for (const { points } of meshes)
    for (let n = 0; n < points.length; n += 21) {
      const [x, y, z] = [0, 1, 2].map((k) => points[n + k] - solid.pivot3D[k]);
      const seen = [x * Math.cos(a) - y * Math.sin(a), (x * Math.sin(a) + y * Math.cos(a)) * Math.cos(e) - z * Math.sin(e)];
      for (const k of [0, 1]) { low[k] = Math.min(low[k], seen[k]); high[k] = Math.max(high[k], seen[k]); }
    }
  const { width, height } = solid.canvas.getBoundingClientRect();
  const wide = width / height, taken = Math.min(0.4, ($("seen-from").offsetHeight + 8) / height);
  const across = (high[0] - low[0]) / 2 / 0.9, up = (high[1] - low[1]) / 2 / (0.9 * (1 - taken));
  const scale = wide < 1 ? Math.max(across, up * wide) : Math.max(across / wide, up);
  const raised = taken * (wide < 1 ? scale / wide : scale);
  solid.position = [-(low[0] + high[0]) / 2, raised - (low[1] + high[1]) / 2, 0];
  solid.setScale((0.8 * solid.furthestFromPivot) / scale);
}

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
