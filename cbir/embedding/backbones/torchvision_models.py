"""torchvision's classification networks and all their published weights, as data.

The table is printed by `scripts/tools/torchvision_models.py`; a test holds it against the installed
torchvision. It is here so that knowing a network does not take importing torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from cbir.config import Interpolation, Preprocessing
from cbir.embedding.backbone import Backbone, WeightsFile

__all__ = ["builder_of", "torchvision_backbones"]

URL = "https://download.pytorch.org/models/"

# name, channels and side of the feature map, resize, crop, interpolation, weights, file;
# the first weights of a network are its default, and IMAGENET1K_ goes before their names
TABLE = """
alexnet             256  6 256 224 bilinear V1             alexnet-owt-7be5be79.pth
convnext_base      1024  7 232 224 bilinear V1             convnext_base-6075fbad.pth
convnext_large     1536  7 232 224 bilinear V1             convnext_large-ea097f82.pth
convnext_small      768  7 230 224 bilinear V1             convnext_small-0c510722.pth
convnext_tiny       768  7 236 224 bilinear V1             convnext_tiny-983f1562.pth
densenet121        1024  7 256 224 bilinear V1             densenet121-a639ec97.pth
densenet161        2208  7 256 224 bilinear V1             densenet161-8d451a50.pth
densenet169        1664  7 256 224 bilinear V1             densenet169-b2777c0a.pth
densenet201        1920  7 256 224 bilinear V1             densenet201-c1103571.pth
efficientnet_b0    1280  7 256 224 bicubic  V1             efficientnet_b0_rwightman-7f5810bc.pth
efficientnet_b1    1280  8 255 240 bilinear V2             efficientnet_b1-c27df63c.pth
efficientnet_b1    1280  8 256 240 bicubic  V1             efficientnet_b1_rwightman-bac287d4.pth
efficientnet_b2    1408  9 288 288 bicubic  V1             efficientnet_b2_rwightman-c35c1473.pth
efficientnet_b3    1536 10 320 300 bicubic  V1             efficientnet_b3_rwightman-b3899882.pth
efficientnet_b4    1792 12 384 380 bicubic  V1             efficientnet_b4_rwightman-23ab8bcd.pth
efficientnet_b5    2048 15 456 456 bicubic  V1             efficientnet_b5_lukemelas-1a07897c.pth
efficientnet_b6    2304 17 528 528 bicubic  V1             efficientnet_b6_lukemelas-24a108a5.pth
efficientnet_b7    2560 19 600 600 bicubic  V1             efficientnet_b7_lukemelas-c5b4e57e.pth
efficientnet_v2_l  1280 15 480 480 bicubic  V1             efficientnet_v2_l-59c71312.pth
efficientnet_v2_m  1280 15 480 480 bilinear V1             efficientnet_v2_m-dc08266a.pth
efficientnet_v2_s  1280 12 384 384 bilinear V1             efficientnet_v2_s-dd5fe13b.pth
googlenet          1024  7 256 224 bilinear V1             googlenet-1378be20.pth
inception_v3       2048  8 342 299 bilinear V1             inception_v3_google-0cc3c7bd.pth
maxvit_t            512  7 224 224 bicubic  V1             maxvit_t-bc5ab103.pth
mnasnet0_5         1280  7 256 224 bilinear V1             mnasnet0.5_top1_67.823-3ffadce67e.pth
mnasnet0_75        1280  7 232 224 bilinear V1             mnasnet0_75-7090bc5f.pth
mnasnet1_0         1280  7 256 224 bilinear V1             mnasnet1.0_top1_73.512-f206786ef8.pth
mnasnet1_3         1280  7 232 224 bilinear V1             mnasnet1_3-a4c69d6f.pth
mobilenet_v2       1280  7 232 224 bilinear V2             mobilenet_v2-7ebf99e0.pth
mobilenet_v2       1280  7 256 224 bilinear V1             mobilenet_v2-b0353104.pth
mobilenet_v3_large  960  7 232 224 bilinear V2             mobilenet_v3_large-5c1a4163.pth
mobilenet_v3_large  960  7 256 224 bilinear V1             mobilenet_v3_large-8738ca79.pth
mobilenet_v3_small  576  7 256 224 bilinear V1             mobilenet_v3_small-047dcff4.pth
regnet_x_16gf      2048  7 232 224 bilinear V2             regnet_x_16gf-ba3796d7.pth
regnet_x_16gf      2048  7 256 224 bilinear V1             regnet_x_16gf-2007eb11.pth
regnet_x_1_6gf      912  7 232 224 bilinear V2             regnet_x_1_6gf-a12f2b72.pth
regnet_x_1_6gf      912  7 256 224 bilinear V1             regnet_x_1_6gf-e3633e7f.pth
regnet_x_32gf      2520  7 232 224 bilinear V2             regnet_x_32gf-6eb8fdc6.pth
regnet_x_32gf      2520  7 256 224 bilinear V1             regnet_x_32gf-9d47f8d0.pth
regnet_x_3_2gf     1008  7 232 224 bilinear V2             regnet_x_3_2gf-7071aa85.pth
regnet_x_3_2gf     1008  7 256 224 bilinear V1             regnet_x_3_2gf-f342aeae.pth
regnet_x_400mf      400  7 232 224 bilinear V2             regnet_x_400mf-62229a5f.pth
regnet_x_400mf      400  7 256 224 bilinear V1             regnet_x_400mf-adf1edd5.pth
regnet_x_800mf      672  7 232 224 bilinear V2             regnet_x_800mf-94a99ebd.pth
regnet_x_800mf      672  7 256 224 bilinear V1             regnet_x_800mf-ad17e45c.pth
regnet_x_8gf       1920  7 232 224 bilinear V2             regnet_x_8gf-2b70d774.pth
regnet_x_8gf       1920  7 256 224 bilinear V1             regnet_x_8gf-03ceed89.pth
regnet_y_128gf     7392 12 384 384 bicubic  SWAG_E2E_V1    regnet_y_128gf_swag-c8ce3e52.pth
regnet_y_128gf     7392  7 224 224 bicubic  SWAG_LINEAR_V1 regnet_y_128gf_lc_swag-cbe8ce12.pth
regnet_y_16gf      3024  7 232 224 bilinear V2             regnet_y_16gf-3e4a00f9.pth
regnet_y_16gf      3024  7 256 224 bilinear V1             regnet_y_16gf-9e6ed7dd.pth
regnet_y_16gf      3024 12 384 384 bicubic  SWAG_E2E_V1    regnet_y_16gf_swag-43afe44d.pth
regnet_y_16gf      3024  7 224 224 bicubic  SWAG_LINEAR_V1 regnet_y_16gf_lc_swag-f3ec0043.pth
regnet_y_1_6gf      888  7 232 224 bilinear V2             regnet_y_1_6gf-0d7bc02a.pth
regnet_y_1_6gf      888  7 256 224 bilinear V1             regnet_y_1_6gf-b11a554e.pth
regnet_y_32gf      3712  7 232 224 bilinear V2             regnet_y_32gf-8db6d4b5.pth
regnet_y_32gf      3712  7 256 224 bilinear V1             regnet_y_32gf-4dee3f7a.pth
regnet_y_32gf      3712 12 384 384 bicubic  SWAG_E2E_V1    regnet_y_32gf_swag-04fdfa75.pth
regnet_y_32gf      3712  7 224 224 bicubic  SWAG_LINEAR_V1 regnet_y_32gf_lc_swag-e1583746.pth
regnet_y_3_2gf     1512  7 232 224 bilinear V2             regnet_y_3_2gf-9180c971.pth
regnet_y_3_2gf     1512  7 256 224 bilinear V1             regnet_y_3_2gf-b5a9779c.pth
regnet_y_400mf      440  7 232 224 bilinear V2             regnet_y_400mf-e6988f5f.pth
regnet_y_400mf      440  7 256 224 bilinear V1             regnet_y_400mf-c65dace8.pth
regnet_y_800mf      784  7 232 224 bilinear V2             regnet_y_800mf-58fc7688.pth
regnet_y_800mf      784  7 256 224 bilinear V1             regnet_y_800mf-1b27b58c.pth
regnet_y_8gf       2016  7 232 224 bilinear V2             regnet_y_8gf-dc2b1b54.pth
regnet_y_8gf       2016  7 256 224 bilinear V1             regnet_y_8gf-d0d0e4a8.pth
resnet101          2048  7 232 224 bilinear V2             resnet101-cd907fc2.pth
resnet101          2048  7 256 224 bilinear V1             resnet101-63fe2227.pth
resnet152          2048  7 232 224 bilinear V2             resnet152-f82ba261.pth
resnet152          2048  7 256 224 bilinear V1             resnet152-394f9c45.pth
resnet18            512  7 256 224 bilinear V1             resnet18-f37072fd.pth
resnet34            512  7 256 224 bilinear V1             resnet34-b627a593.pth
resnet50           2048  7 232 224 bilinear V2             resnet50-11ad3fa6.pth
resnet50           2048  7 256 224 bilinear V1             resnet50-0676ba61.pth
resnext101_32x8d   2048  7 232 224 bilinear V2             resnext101_32x8d-110c445d.pth
resnext101_32x8d   2048  7 256 224 bilinear V1             resnext101_32x8d-8ba56ff5.pth
resnext101_64x4d   2048  7 232 224 bilinear V1             resnext101_64x4d-173b62eb.pth
resnext50_32x4d    2048  7 232 224 bilinear V2             resnext50_32x4d-1a0047aa.pth
resnext50_32x4d    2048  7 256 224 bilinear V1             resnext50_32x4d-7cdf4587.pth
shufflenet_v2_x0_5 1024  7 256 224 bilinear V1             shufflenetv2_x0.5-f707e7126e.pth
shufflenet_v2_x1_0 1024  7 256 224 bilinear V1             shufflenetv2_x1-5666bf0f80.pth
shufflenet_v2_x1_5 1024  7 232 224 bilinear V1             shufflenetv2_x1_5-3c479a10.pth
shufflenet_v2_x2_0 2048  7 232 224 bilinear V1             shufflenetv2_x2_0-8be3c8ee.pth
squeezenet1_0       512 13 256 224 bilinear V1             squeezenet1_0-b66bff10.pth
squeezenet1_1       512 13 256 224 bilinear V1             squeezenet1_1-b8a52dc0.pth
swin_b             1024  7 238 224 bicubic  V1             swin_b-68c6b09e.pth
swin_s              768  7 246 224 bicubic  V1             swin_s-5e29d889.pth
swin_t              768  7 232 224 bicubic  V1             swin_t-704ceda3.pth
swin_v2_b          1024  8 272 256 bicubic  V1             swin_v2_b-781e5279.pth
swin_v2_s           768  8 260 256 bicubic  V1             swin_v2_s-637d8ceb.pth
swin_v2_t           768  8 260 256 bicubic  V1             swin_v2_t-b137f0e2.pth
vgg11               512  7 256 224 bilinear V1             vgg11-8a719046.pth
vgg11_bn            512  7 256 224 bilinear V1             vgg11_bn-6002323d.pth
vgg13               512  7 256 224 bilinear V1             vgg13-19584684.pth
vgg13_bn            512  7 256 224 bilinear V1             vgg13_bn-abd245e5.pth
vgg16               512  7 256 224 bilinear V1             vgg16-397923af.pth
vgg16               512  7 256 224 bilinear FEATURES       vgg16_features-amdegroot-88682ab5.pth
vgg16_bn            512  7 256 224 bilinear V1             vgg16_bn-6c64b313.pth
vgg19               512  7 256 224 bilinear V1             vgg19-dcbb9e9d.pth
vgg19_bn            512  7 256 224 bilinear V1             vgg19_bn-c79401a0.pth
vit_b_16            768  0 256 224 bilinear V1             vit_b_16-c867db91.pth
vit_b_16            768  0 384 384 bicubic  SWAG_E2E_V1    vit_b_16_swag-9ac1b537.pth
vit_b_16            768  0 224 224 bicubic  SWAG_LINEAR_V1 vit_b_16_lc_swag-4e70ced5.pth
vit_b_32            768  0 256 224 bilinear V1             vit_b_32-d86f8d99.pth
vit_h_14           1280  0 518 518 bicubic  SWAG_E2E_V1    vit_h_14_swag-80465313.pth
vit_h_14           1280  0 224 224 bicubic  SWAG_LINEAR_V1 vit_h_14_lc_swag-c1eb923e.pth
vit_l_16           1024  0 242 224 bilinear V1             vit_l_16-852ce7e3.pth
vit_l_16           1024  0 512 512 bicubic  SWAG_E2E_V1    vit_l_16_swag-4f3808c9.pth
vit_l_16           1024  0 224 224 bicubic  SWAG_LINEAR_V1 vit_l_16_lc_swag-4d563306.pth
vit_l_32           1024  0 256 224 bilinear V1             vit_l_32-c7638314.pth
wide_resnet101_2   2048  7 232 224 bilinear V2             wide_resnet101_2-d733dc28.pth
wide_resnet101_2   2048  7 256 224 bilinear V1             wide_resnet101_2-32ee1156.pth
wide_resnet50_2    2048  7 232 224 bilinear V2             wide_resnet50_2-9ba9bcbe.pth
wide_resnet50_2    2048  7 256 224 bilinear V1             wide_resnet50_2-95faca4d.pth
"""

RGB = tuple[float, float, float]
OTHER_NORMALISATION: dict[str, tuple[RGB, RGB]] = {
    "efficientnet_v2_l-59c71312.pth": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "vgg16_features-amdegroot-88682ab5.pth": (
        (0.48235, 0.45882, 0.40784),
        (1.0 / 255.0, 1.0 / 255.0, 1.0 / 255.0),
    ),
}
"""Mean and standard deviation where they are not those of ImageNet, by file."""


def builder_of(name: str) -> str:
    """The function that builds a network of torchvision's, for `Backbone.builder`."""
    kind = "build_vit" if name.startswith("vit_") else "build"
    return f"cbir.embedding.backbones.torchvision:{kind}"


def torchvision_backbones() -> Iterator[Backbone]:
    """Every network of the table, in its order."""
    rows = (line.split() for line in TABLE.strip().splitlines())
    for name, group in groupby(rows, key=lambda row: row[0]):
        variants = list(group)
        weights = tuple(_weights(row) for row in variants)
        is_vit = name.startswith("vit_")
        yield Backbone(
            name=name,
            builder=builder_of(name),
            channels=int(variants[0][1]),
            preprocessing=weights[0].preprocessing,
            poolings=("cls",) if is_vit else ("avg", "max", "gem", "rmac", "flatten"),
            weights=weights,
            resizable=not is_vit,
            transformer=is_vit,
            licence=weights[0].licence,
            source=f"docs.pytorch.org/vision/stable/models, {name}",
        )


def _weights(row: list[str]) -> WeightsFile:
    _, _, side, resize, crop, interpolation, name, file = row
    kind: Interpolation = "bicubic" if interpolation == "bicubic" else "bilinear"
    preprocessing = Preprocessing(int(resize), int(crop), kind)
    if file in OTHER_NORMALISATION:
        mean, std = OTHER_NORMALISATION[file]
        preprocessing = Preprocessing(int(resize), int(crop), kind, mean, std)
    return WeightsFile(
        name=f"IMAGENET1K_{name}",
        file=file,
        preprocessing=preprocessing,
        map_side=int(side),
        # The SWAG weights are Meta's, and not for commercial use.
        licence="CC-BY-NC-4.0" if name.startswith("SWAG") else "BSD-3-Clause",
        url=URL + file,
    )
