import numpy as np

from meshwright.runtime.geometry.shading import Shading, light_intensity, shaded, to_linear, to_srgb


def test_the_light_of_a_pack():
    """Ambient 0.3 and diffuse 0.7 from both sides, in linear light: what Shap-E's renderer does."""
    shading = Shading(0.3, 0.7, (0.0, -1.0, 0.0), two_sided=True, linear=True)
    normals = np.array([[0, -1, 0], [0, 1, 0], [1, 0, 0], [0, -0.6, 0.8]], np.float32)
    np.testing.assert_allclose(light_intensity(normals, shading), [1.0, 1.0, 0.3, 0.72], atol=1e-6)
    lit = shaded(np.full((4, 3), 0.5, np.float32), normals, shading)
    # 0.5 sRGB is 0.21404 linear; 0.3 and 0.72 of that are 0.28106 and 0.42899 sRGB.
    np.testing.assert_allclose(lit[:, 0], [0.5, 0.5, 0.28106, 0.42899], atol=1e-4)
    plain = Shading(0.3, 0.9, (0.0, -1.0, 0.0), two_sided=False, linear=False)
    np.testing.assert_allclose(light_intensity(normals, plain), [1.2, 0.3, 0.3, 0.84], atol=1e-6)
    np.testing.assert_allclose(shaded(np.full((4, 3), 0.9, np.float32), normals, plain)[:, 1], [1.0, 0.27, 0.27, 0.756], atol=1e-6)


def test_srgb_and_linear_light():
    values = np.array([0, 0.02, 0.04045, 0.05, 0.5, 1], np.float32)
    np.testing.assert_allclose(to_linear(values), [0, 0.001548, 0.0031308, 0.003936, 0.214041, 1], atol=1e-6)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-6)
