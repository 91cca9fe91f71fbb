"""Base colours of glTF files, with values worked out by hand, and what is said of those that cannot be shown."""

import base64
import math

import numpy as np
import pytest

from meshwright.runtime.files.gltf.reader import read_glb
from meshwright.runtime.files.scene.join import join_parts
from meshwright.runtime.geometry.render import sample_texture
from meshwright.runtime.geometry.shading import product, to_linear
from tests.runtime.files.gltf_files import (
    BLUE,
    CORNERS,
    GREEN,
    RED,
    YELLOW,
    Gltf,
    base,
    encoded,
    painted,
    quarters,
    triangle,
)

UVS = np.float32([[0, 0], [1, 0], [0, 1]])
SPECULAR_GLOSSINESS = "KHR_materials_pbrSpecularGlossiness"


def moved(uvs=UVS, **transform):
    """The coordinates that KHR_texture_transform makes of `uvs`."""
    file = painted(lambda file: base(baseColorTexture={"index": file.texture(quarters()), "extensions": {
        "KHR_texture_transform": transform}}), uvs)
    (part,) = file.scene().parts
    return part.uvs


def shown(scene, at=(1 / 3, 1 / 3, 1 / 3)):
    """(3,) sRGB, 0 to 255: what the first face of a scene shows at a point given by weights of its corners."""
    mesh, weights = join_parts(scene.parts), np.float32(at)
    color = np.ones(3) if mesh.texture is None else sample_texture(mesh.texture, weights[None] @ mesh.uvs[mesh.faces[0]])[0]
    return 255 * (color if mesh.colors is None else product(color, weights @ mesh.colors[mesh.faces[0]] / 255))


def linear(*color):
    return to_linear(np.float32(color) / 255).tolist()


def test_a_texture_transform_follows_the_worked_example():
    """Offset 0 1, a quarter turn and half the size show the lower left quarter, turned: u' = v / 2, v' = 1 - u / 2."""
    np.testing.assert_allclose(moved(offset=[0, 1], rotation=math.pi / 2, scale=[0.5, 0.5]), [[0, 1], [0, 0.5], [0.5, 1]], atol=1e-6)


def test_a_texture_transform_scales_then_turns_then_moves():
    """30 degrees, scale 2 and 4, offset 0.1 and 0.2: (1, 0) goes to 2 (cos, -sin), (0, 1) to 4 (sin, cos)."""
    np.testing.assert_allclose(moved(offset=[0.1, 0.2], rotation=math.pi / 6, scale=[2, 4]),
                               [[0.1, 0.2], [0.1 + 1.7320508, 0.2 - 1], [0.1 + 2, 0.2 + 3.4641016]], atol=1e-6)
    np.testing.assert_allclose(moved(), UVS)


def test_a_texture_transform_may_name_other_coordinates():
    """Its own number goes before that of the texture."""
    file = painted(lambda file: base(baseColorTexture={"index": file.texture(quarters()), "texCoord": 1, "extensions": {
        "KHR_texture_transform": {"texCoord": 2, "scale": [2, 2]}}}), TEXCOORD_1=UVS + 10, TEXCOORD_2=UVS + 20)
    np.testing.assert_allclose(file.scene().parts[0].uvs, 2 * UVS + 40)


def test_coordinates_may_be_whole_numbers():
    """Shorts that are not brought to [0, 1], as KHR_mesh_quantization allows, with the scale that does it."""
    file = painted(lambda file: base(baseColorTexture={"index": file.texture(quarters()), "extensions": {
        "KHR_texture_transform": {"scale": [1 / 4096, 1 / 4096]}}}), TEXCOORD_0=np.uint16([[0, 0], [4096, 0], [0, 2048]]))
    np.testing.assert_allclose(file.scene().parts[0].uvs, [[0, 0], [1, 0], [0, 0.5]])


@pytest.mark.parametrize(("sampler", "wrap"), [
    ({}, ("repeat", "repeat")), ({"wrapS": 33648}, ("mirror", "repeat")), ({"wrapT": 33071}, ("repeat", "clamp")),
    ({"wrapS": 33071, "wrapT": 33648, "magFilter": 9728}, ("clamp", "mirror")), ({"wrapS": 10497, "magFilter": 9729}, ("repeat", "repeat")),
])
def test_samplers(sampler, wrap):
    material = painted(lambda file: base(baseColorTexture={"index": file.texture(quarters(), **sampler)})).scene().parts[0].material
    assert material.wrap == wrap and material.nearest == (sampler.get("magFilter") == 9728)


def test_factor_picture_and_vertex_colours_are_multiplied():
    """0.5 of the picture's light where the vertex is white, a quarter of it where it is grey."""
    file = painted(lambda file: base(baseColorFactor=[0.5, 0.5, 1, 1], baseColorTexture={"index": file.texture(np.full((4, 4, 3), 200))}),
                   COLOR_0=np.float32([[1, 1, 1], [1, 1, 1], [0.5, 0, 1]]))
    scene = file.scene()
    # 200 is 0.5776 of full light: halves are 0.2888 and 0.1444, which are sRGB 146.7 and 106.1.
    np.testing.assert_allclose(shown(scene, (1, 0, 0)), [147, 147, 200], atol=1)
    np.testing.assert_allclose(shown(scene, (0, 0, 1)), [106, 0, 200], atol=1)
    assert scene.notices == ()


def test_white_vertex_colours_are_left_out():
    file = painted(lambda file: base(baseColorTexture={"index": file.texture(quarters())}), COLOR_0=np.ones((3, 4), np.float32))
    assert join_parts(file.scene().parts).colors is None


def test_several_materials_each_with_its_own():
    """A picture, a factor, vertex colours, and none, in one mesh of four primitives."""
    file = Gltf()
    attributes = {"POSITION": file.array(CORNERS), "TEXCOORD_0": file.array(UVS * 0.1)}
    tinted = {"POSITION": attributes["POSITION"], "COLOR_0": file.array(np.float32([[0, 1, 0]] * 3))}
    for entry in ({"baseColorTexture": {"index": file.texture(quarters())}}, {"baseColorFactor": [0, 0, 1, 1]},
                  {"baseColorFactor": [1, 0.5, 0, 1]}):
        file.add("materials", base(**entry))
    primitives = [{"attributes": each, "material": number} for number, each in enumerate((attributes, attributes, tinted))]
    file.node(mesh=file.add("meshes", {"primitives": [*primitives, {"attributes": attributes}]}))
    parts = file.scene().parts
    mesh = join_parts(parts)
    seen = [product(sample_texture(mesh.texture, mesh.uvs[face].mean(axis=0, keepdims=True))[0], mesh.colors[face].mean(axis=0) / 255)
            for face in mesh.faces]
    np.testing.assert_allclose(255 * np.stack(seen), [RED, [0, 0, 255], [0, 188, 0], [255, 255, 255]], atol=1)


def test_specular_glossiness_is_read_as_its_diffuse_colour():
    """Also where a base colour stands beside it, which is for readers that do not know it."""
    file = painted(lambda file: {"name": "tin", **base(baseColorFactor=[0, 1, 0, 1]), "extensions": {SPECULAR_GLOSSINESS: {
        "diffuseFactor": [*linear(188, 188, 188), 1], "diffuseTexture": {"index": file.texture(np.full((4, 4, 3), 188))}}}})
    scene = file.scene()
    np.testing.assert_allclose(shown(scene), [137, 137, 137], atol=1)  # as in test_render: 0.503 squared
    assert scene.notices == (f"only the diffuse colour of {SPECULAR_GLOSSINESS} is read (material 'tin')",)


# Light that a material emits.

@pytest.mark.parametrize(("material", "color"), [
    (lambda file: {**base(baseColorFactor=[0, 0, 0, 1]), "emissiveFactor": [1, 0, 0]}, (255, 0, 0)),
    (lambda file: {**base(baseColorFactor=[0, 0, 0, 1]), "emissiveFactor": [1, 1, 1],
                   "emissiveTexture": {"index": file.texture(quarters(), wrapS=33071), "extensions": {
                       "KHR_texture_transform": {"offset": [0.7, 0.2], "scale": [0.1, 0.1]}}}}, GREEN),
    (lambda file: {**base(baseColorFactor=[*linear(0, 0, 188), 1]), "emissiveFactor": linear(188, 0, 0)}, (188, 0, 188)),
    (lambda file: {**base(baseColorTexture={"index": file.texture(np.full((2, 2, 3), 188))}), "emissiveFactor": linear(188, 0, 0)},
     (255, 188, 188)),
    (lambda file: {**base(baseColorFactor=[*linear(0, 188, 0), 1]), "emissiveFactor": [1, 1, 1],
                   "emissiveTexture": {"index": file.texture(quarters())}}, (220, 189, 20)),
    (lambda file: {**base(baseColorTexture={"index": file.texture(np.full((4, 4, 3), (0, 100, 0)))}), "emissiveFactor": [0, 0, 1],
                   "emissiveTexture": {"index": file.texture(np.full((8, 2, 3), 77))}}, (0, 100, 77)),
    (lambda file: {**base(baseColorFactor=[0, 0, 0, 1]), "emissiveFactor": [0.1, 0, 0], "extensions": {
        "KHR_materials_emissive_strength": {"emissiveStrength": 5}}}, (188, 0, 0)),
], ids=["alone", "picture", "factors", "on a picture", "a picture on a factor", "both pictures", "strength"])
def test_emitted_light_is_added_to_the_colour(material, color):
    scene = painted(material).scene()
    np.testing.assert_allclose(shown(scene, (0.8, 0.1, 0.1)), color, atol=1)
    assert scene.notices == ("emitted light is shown as base colour (material '0')",)


def test_unlit_materials_emit_nothing():
    file = painted(lambda file: {**base(baseColorFactor=[0, 1, 0, 1]), "emissiveFactor": [1, 0, 0],
                                 "extensions": {"KHR_materials_unlit": {}}})
    scene = file.scene()
    np.testing.assert_allclose(shown(scene), [0, 255, 0])
    assert scene.notices == ()


def test_emitted_light_alone_is_not_multiplied_by_vertex_colours():
    file = painted(lambda file: {**base(baseColorFactor=[0, 0, 0, 1]), "emissiveFactor": [1, 1, 0]}, COLOR_0=np.float32([[0, 0, 1]] * 3))
    np.testing.assert_allclose(shown(file.scene()), [255, 255, 0])


def test_a_picture_of_emitted_light_that_lies_otherwise_is_left_out_with_a_notice():
    file = painted(lambda file: {**base(baseColorTexture={"index": file.texture(quarters())}), "emissiveFactor": [1, 1, 1],
                                 "emissiveTexture": {"index": file.texture(quarters()), "texCoord": 1}}, TEXCOORD_1=UVS)
    scene = file.scene()
    np.testing.assert_allclose(shown(scene, (0.8, 0.1, 0.1)), RED, atol=1)
    assert any("does not line up with the base colour texture" in message for message in scene.notices)


# What can be seen through.

OPAQUE = ("a transparent material is shown opaque (material 'leaf')",)


def clear(alpha):
    """A white picture whose alpha is so much in one of its pixels."""
    pixels = np.full((4, 4, 4), 255, np.uint8)
    pixels[0, 0, 3] = alpha
    return pixels


@pytest.mark.parametrize(("mode", "factor", "alpha", "tint", "notices"), [
    ({}, 0.3, 100, 0.5, ()), ({"alphaMode": "OPAQUE"}, 0.3, 100, 0.5, ()), ({"alphaMode": "BLEND"}, 1, 255, 1, ()),
    ({"alphaMode": "BLEND"}, 0.3, 255, 1, OPAQUE), ({"alphaMode": "BLEND"}, 1, 100, 1, OPAQUE),
    ({"alphaMode": "BLEND"}, 1, 255, 0.5, OPAQUE), ({"alphaMode": "MASK"}, 1, 128, 1, ()), ({"alphaMode": "MASK"}, 1, 127, 1, OPAQUE),
    ({"alphaMode": "MASK", "alphaCutoff": 0.2}, 1, 100, 1, ()), ({"alphaMode": "MASK"}, 0.8, 255, 0.65, ()),
    ({"alphaMode": "MASK"}, 0.8, 255, 0.6, OPAQUE),  # 0.8 times 0.6 is 0.48, below the cutoff of 0.5
])
def test_transparency_is_noticed_where_there_is_any(mode, factor, alpha, tint, notices):
    vertex_colors = np.full((3, 4), 1, np.float32)
    vertex_colors[1, 3] = tint
    file = painted(lambda file: {"name": "leaf", **base(baseColorFactor=[1, 1, 1, factor], baseColorTexture={
        "index": file.texture(clear(alpha))}), **mode}, COLOR_0=vertex_colors)
    assert file.scene().notices == notices


@pytest.mark.parametrize("mode", [{"alphaMode": "BLEND"}, {"alphaMode": "MASK", "alphaCutoff": 0.1}])
def test_what_is_wholly_clear_is_not_shown(mode):
    file = painted(lambda file: {**base(baseColorFactor=[1, 1, 1, 0]), **mode})
    assert file.scene().parts == []


def test_glass_is_noticed():
    file = painted(lambda file: {"extensions": {"KHR_materials_transmission": {"transmissionFactor": 0.9}}})
    assert file.scene().notices == ("a transmissive material is shown opaque (material '0')",)


# Pictures that are not there.

def picture(**image):
    """A file of a triangle whose material has a red factor and that image."""
    return painted(lambda file: {"name": "skin", **base(baseColorFactor=[1, 0, 0, 1], baseColorTexture={
        "index": file.add("textures", {"source": file.add("images", image)})})})


@pytest.mark.parametrize(("image", "notice"), [
    ({"uri": "nowhere.png"}, "a texture is left out: 'nowhere.png' is not there (material 'skin')"),
    ({"uri": "../up.png"}, "a texture is left out: '../up.png' is outside the mesh's folder and is not opened (material 'skin')"),
    ({"uri": "http://example.org/a.png"},
     "a texture is left out: 'http://example.org/a.png' is not a file beside the mesh and is not opened (material 'skin')"),
    ({"uri": "text.png"}, "a texture is left out: picture 'text.png' is not a readable picture (9 bytes, "),
    ({"uri": "\x1b[31m.png"}, r"a texture is left out: '\x1b[31m.png' is not there (material 'skin')"),
    ({"uri": "data:image/ktx2;base64," + base64.b64encode(b"\xabKTX 20\xbb\r\n\x1a\n").decode()},
     "a texture is left out: picture '0' is a KTX file, which is not supported (material 'skin')"),
    ({"uri": "data:image/vnd-ms.dds;base64," + base64.b64encode(b"DDS " + bytes(124)).decode()},
     "a texture is left out: picture '0' is a DDS file, which is not supported (material 'skin')"),
])
def test_pictures_that_cannot_be_had_are_named(tmp_path, image, notice):
    """The shape is read all the same, in the material's factor."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.png").write_text("a picture")
    (tmp_path / "up.png").write_bytes(encoded(quarters()))
    scene = read_glb(picture(**image).glb(), tmp_path / "in")
    assert len(scene.notices) == 1 and scene.notices[0].startswith(notice)
    np.testing.assert_allclose(shown(scene), [255, 0, 0])


@pytest.mark.parametrize("uri", ["a%20b.png", "a b.png", "data"])
def test_pictures_beside_the_file_and_in_data_uris(tmp_path, uri):
    (tmp_path / "a b.png").write_bytes(encoded(np.full((4, 4, 3), (200, 9, 9))))
    packed = "data:image/png;base64," + base64.b64encode(encoded(np.full((4, 4, 3), (200, 9, 9)))).decode()
    scene = read_glb(picture(uri=packed if uri == "data" else uri).glb(), tmp_path)
    np.testing.assert_allclose(shown(scene), [200, 0, 0], atol=1)
    assert scene.notices == () and [path.name for path in scene.sources] == ([] if uri == "data" else ["a b.png"])


def test_the_first_format_that_can_be_read_is_taken():
    """Basis Universal before a PNG, which is there for readers without it; and WebP alone."""
    def material(file):
        ktx = file.add("images", {"bufferView": file.view(b"\xabKTX 20\xbb\r\n\x1a\n")})
        webp = file.picture(np.full((4, 4, 3), BLUE), "WEBP")
        png = file.picture(np.full((4, 4, 3), YELLOW))
        first = file.add("textures", {"source": png, "extensions": {"KHR_texture_basisu": {"source": ktx}}})
        file.add("textures", {"extensions": {"EXT_texture_webp": {"source": webp}}})
        return base(baseColorTexture={"index": first})

    file = painted(material)
    scene = file.scene()
    np.testing.assert_allclose(shown(scene), YELLOW)
    assert scene.notices == ()
    file.document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"] = 1
    np.testing.assert_allclose(shown(file.scene()), BLUE)


def test_a_picture_without_coordinates_is_named():
    file = triangle(material={"name": "skin"})
    file.document["materials"][0] |= base(baseColorFactor=[0, 1, 0, 1], baseColorTexture={"index": file.texture(quarters())})
    scene = file.scene()
    assert scene.notices == ("a texture is left out: mesh '0' has no texture coordinates for it (material 'skin')",)
    np.testing.assert_allclose(shown(scene), [0, 255, 0])


def test_a_texture_without_a_picture_is_named():
    file = painted(lambda file: base(baseColorTexture={"index": file.add("textures", {})}))
    assert file.scene().notices == ("a texture is left out: it names no picture (material '0')",)


def test_a_picture_of_emitted_light_that_cannot_be_had_lights_nothing():
    file = painted(lambda file: {**base(baseColorFactor=[0, 1, 0, 1]), "emissiveFactor": [1, 1, 1], "emissiveTexture": {
        "index": file.add("textures", {"source": file.add("images", {"uri": "nowhere.png"})})}})
    np.testing.assert_allclose(shown(file.scene()), [0, 255, 0])


def test_many_notices_of_one_kind_are_one_line():
    file = Gltf()
    corners = file.array(CORNERS)
    for number in range(5):
        material = file.add("materials", {"name": f"m{number}", "emissiveFactor": [1, 0, 0]})
        file.node(mesh=file.add("meshes", {"primitives": [{"attributes": {"POSITION": corners}, "material": material}]}))
    assert file.scene().notices == (
        "emitted light is shown as base colour (material 'm0', material 'm1', material 'm2', and 2 more)",)
