"""Shap-E's published layouts through our loaders, graphs and schedules, against diffusers' own pipelines."""

import json

import numpy as np
import pytest
import torch
from diffusers import HeunDiscreteScheduler, PriorTransformer, ShapEImg2ImgPipeline, ShapEPipeline
from diffusers.pipelines.shap_e.renderer import ShapERenderer
from PIL import Image
from transformers import CLIPImageProcessor, CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModel

from meshwright.engines import open_engine
from meshwright.export.components.image_encoder import prior_image_encoder
from meshwright.export.components.shap_e_decoder import shap_e_decoder
from meshwright.export.components.shap_e_prior import shap_e_prior
from meshwright.export.components.text_encoder import pooled_text_encoder
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.published import folders
from meshwright.export.published.json_file import read_object
from meshwright.export.published.model_index import image_processor
from meshwright.export.published.schedules import shap_e_sampling
from meshwright.export.published.tokenizer import tokenizer_document
from meshwright.export.spec import FP32
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import make_table
from meshwright.runtime.geometry.isosurface.sparse_field import evaluate_sparse
from meshwright.runtime.geometry.shading import to_linear
from meshwright.runtime.images.pictures import Picture, preprocess
from meshwright.runtime.pack.manifest import Resize
from meshwright.runtime.text.prompt import load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS, GUIDANCE = 3, 5.0


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def renderer(published):
    """The decoder as diffusers loads it."""
    return ShapERenderer.from_pretrained(published("shap-e") / "shap_e_renderer").eval()


def graph(spec, folder):
    write_onnx(spec, folder / spec.file)
    return open_engine(folder / spec.file, threads=1)


def drawn(root, states, first, folder):
    """The latent from our step graph, by the table of the published scheduler in the form of diffusers."""
    sampling = shap_e_sampling(root / "scheduler", "diffusers")
    table = make_table(sampling.schedule, STEPS, GUIDANCE)
    start = np.float32(table.initial_scale) * first
    both = np.concatenate([np.zeros_like(states), states])
    with graph(shap_e_prior(folders.prior(root / "prior").load(), states.shape[1:], sampling.clamp, precision=FP32), folder) as engine:
        last = engine.scan({"latent": start, "previous": np.zeros_like(start)},
                           {"row": table.rows, "noise": np.zeros((len(table.rows), *start.shape), np.float32)}, {"states": both})
    return last["latent"]


def parts(root, renderer):
    return {"prior": PriorTransformer.from_pretrained(root / "prior").eval(), "shap_e_renderer": renderer,
            "scheduler": HeunDiscreteScheduler.from_config(read_object(root / "scheduler" / "scheduler_config.json")[0])}


def latents(pipeline, condition, first):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(condition, num_inference_steps=STEPS, guidance_scale=GUIDANCE, latents=torch.from_numpy(first.reshape(1, -1)),
                    output_type="latent").images.numpy()


def assert_close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


@pytest.mark.slow
def test_a_prompt_draws_the_latent_of_shap_e_pipeline(published, renderer, tmp_path):
    root, prompt = published("shap-e"), "a red chair with 4 legs!"
    model = PriorTransformer.load_config(root / "prior")
    first = normal(0, "first", (1, model["num_embeddings"], model["embedding_dim"]))
    pipeline = ShapEPipeline(text_encoder=CLIPTextModelWithProjection.from_pretrained(root / "text_encoder").eval(),
                             tokenizer=CLIPTokenizer.from_pretrained(root / "tokenizer"), **parts(root, renderer))
    theirs = latents(pipeline, prompt, first)

    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_document(root / "tokenizer", padding=0)))
    tokens = load_tokenizer(path, 77).encode_prompt(prompt)
    text = folders.projected_text_encoder(root / "text_encoder").load()
    with graph(pooled_text_encoder(text, 77, precision=FP32), tmp_path) as engine:
        states = engine.run({"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask})["states"]
    np.testing.assert_allclose(np.linalg.norm(states), states.shape[-1] ** 0.5, rtol=1e-5)
    assert_close(drawn(root, states, first, tmp_path), theirs, 1e-4)


@pytest.mark.slow
def test_a_picture_draws_the_latent_of_shap_e_img2img_pipeline(published, renderer, tmp_path):
    root = published("shap-e-img2img")
    model = PriorTransformer.load_config(root / "prior")
    first = normal(0, "first", (1, model["num_embeddings"], model["embedding_dim"]))
    pixels = np.random.default_rng(0).integers(256, size=(40, 40, 3)).astype(np.uint8)
    looks = image_processor(root / "image_processor")
    pipeline = ShapEImg2ImgPipeline(image_encoder=CLIPVisionModel.from_pretrained(root / "image_encoder").eval(),
                                    image_processor=CLIPImageProcessor.from_pretrained(root / "image_processor"), **parts(root, renderer))
    # Unlike the text's, this pipeline takes latents that are given to it as they are, without its scheduler's first sigma.
    theirs = latents(pipeline, Image.fromarray(pixels), first * np.float32(403.42149))

    vision = folders.image_encoder(root / "image_encoder").load()
    spec = prior_image_encoder(vision, mean=looks.mean, std=looks.std, size=looks.size, precision=FP32)
    image = preprocess(Picture.of(pixels), 1.0, Resize(looks.size, looks.resample))
    with graph(spec, tmp_path) as engine:
        states = engine.run({"image": image})["states"]
    assert_close(drawn(root, states, first, tmp_path), theirs, 1e-4)


@torch.no_grad()
def test_the_field_and_the_shrunk_surface_of_shap_e_renderer(published, renderer, tmp_path):
    """Where the field changes its sign along the edges of a 24-point grid, times 23/25, are the vertices of diffusers' mesh."""
    root, points = published("shap-e"), 24
    decoder = folders.shap_e_decoder(root).load()
    latent = np.random.default_rng(0).uniform(-1, 1, (1, decoder.config.rows, decoder.config.latent_width)).astype(np.float32)
    renderer.mesh_decoder.cases, renderer.mesh_decoder.masks = edges_of_cases()
    theirs = renderer.decode_to_mesh(torch.from_numpy(latent), "cpu", grid_size=points)
    vertices = theirs.verts.numpy()
    assert len(vertices) > 500

    params, field = (graph(spec, tmp_path) for spec in shap_e_decoder(decoder, precision=FP32))
    with params, field:
        weights = params.run({"latent": latent})

        def query(at):
            return field.run({**weights, "points": at[None]})

        found = evaluate_sparse(lambda at: {"sdf": query(at)["sdf"][0, :, 0]}, points - 1, 2.0, negative_inside=False, decimals=None)
        ours = crossings(found)
        shrunk = ours * np.float32((points - 1) / (points + 1))
        colors = query(vertices)["color"][0]
    distance = np.linalg.norm(shrunk[:, None] - vertices[None], axis=-1)
    assert len(shrunk) == len(vertices) and distance.min(axis=0).max() < 5e-5 > distance.min(axis=1).max()
    assert np.linalg.norm(ours[:, None] - vertices[None], axis=-1).min(axis=1).mean() > 0.02, "not without the shrink"
    linear = torch.stack([theirs.vertex_channels[name] for name in "RGB"], dim=1).numpy()
    np.testing.assert_allclose(to_linear(colors), linear, atol=1e-5)


def edges_of_cases():
    """Tables whose triangles use every edge with a change of sign: they make no surface, but exactly its vertices."""
    pairs = [(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7)]
    cases, masks = torch.zeros(256, 5, 3, dtype=torch.long), torch.zeros(256, 5, dtype=torch.bool)
    for case in range(256):
        crossed = [k for k, (a, b) in enumerate(pairs) if (case >> a & 1) != (case >> b & 1)]
        for k in range(0, len(crossed), 3):
            cases[case, k // 3] = torch.tensor([*crossed[k:k + 3], *crossed[-1:] * 2][:3])
            masks[case, k // 3] = True
    return cases, masks


def crossings(field):
    """(k, 3) float32: the zeros of a sparse field along the edges of its grid."""
    corners = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]])
    pairs = np.unique(np.sort(field.corners[:, corners].reshape(-1, 2), axis=1), axis=0)
    sdf = field.values["sdf"]
    a, b = pairs[(sdf[pairs[:, 0]] < 0) != (sdf[pairs[:, 1]] < 0)].T
    return field.points[a] + (sdf[a] / (sdf[a] - sdf[b]))[:, None] * (field.points[b] - field.points[a])
