"""The zoo: which architectures are exported, how large, and by which exporter at which opset."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Architecture:
    """One row of the table in docs/zoo.md."""

    name: str
    size: int
    """Rows and columns of the picture."""
    exporter: str
    """`script`: the TorchScript exporter (`dynamo=False`); `dynamo`: the one on torch.export."""
    opset: int
    batch: str | int
    """`N`: left open, and checked with two pictures; a number: fixed."""
    library: str = "timm"
    options: dict[str, object] = field(default_factory=dict)
    """For the constructor."""
    plain_attention: bool = False
    """Write attention out (matrix products and a softmax) where the opset has no fused form."""

    @property
    def pictures(self) -> int:
        """How many the check runs."""
        return 2 if self.batch == "N" else int(self.batch)


def script(opset: int, size: int, *names: str, batch: str | int = "N", **others: object) -> list[Architecture]:
    return [Architecture(name, size, "script", opset, batch, **others) for name in names]


def dynamo(opset: int, size: int, *names: str, batch: str | int = "N", **others: object) -> list[Architecture]:
    return [Architecture(name, size, "dynamo", opset, batch, **others) for name in names]


TORCHVISION = {"library": "torchvision"}
NO_AUXILIARY = {"library": "torchvision", "options": {"aux_logits": False, "init_weights": False}}

ZOO = [
    # Plain and residual convolutional networks.
    *script(9, 224, "alexnet", batch=1, **TORCHVISION),
    *script(11, 224, "vgg11_bn", options={"mlp_ratio": 0.125}),
    *script(9, 96, "squeezenet1_1", **TORCHVISION),
    *script(9, 96, "resnet18"),
    *dynamo(18, 96, "resnet26t"),
    *script(13, 96, "resnetv2_50", batch=1),
    *script(12, 96, "resnetblur18"),
    *script(11, 96, "resnext50_32x4d"),
    *dynamo(20, 96, "wide_resnet50_2", batch=1),
    *script(12, 128, "googlenet", **NO_AUXILIARY),
    *script(11, 160, "inception_v3", **NO_AUXILIARY),
    *script(13, 160, "inception_v4"),
    *script(14, 160, "inception_resnet_v2"),
    *script(16, 128, "xception"),
    *dynamo(19, 96, "densenet121", **TORCHVISION),
    *script(12, 96, "dpn68"),
    *script(9, 96, "res2net50_26w_4s"),
    *script(11, 96, "dla34"),
    *dynamo(21, 96, "dla60_res2net", batch=1),
    *script(16, 96, "hrnet_w18_small"),
    *script(14, 96, "ese_vovnet19b_dw"),
    *dynamo(18, 96, "cs3darknet_s"),
    # Attention over channels or branches.
    *script(9, 96, "legacy_seresnet18"),
    *script(13, 96, "seresnet50", batch=1),
    *script(11, 96, "legacy_seresnext26_32x4d"),
    *script(12, 96, "ecaresnet26t"),
    *script(14, 96, "resnest14d"),
    *script(16, 96, "skresnet18"),
    *dynamo(20, 96, "gcresnext26ts"),
    *script(17, 96, "tresnet_m"),
    # Small and mobile ones.
    *script(9, 96, "mobilenet_v2", **TORCHVISION),
    *script(13, 96, "mobilenetv1_100"),
    *script(11, 96, "mobilenetv3_small_050"),
    *script(14, 96, "mobilenet_v3_large", **TORCHVISION),
    *dynamo(19, 96, "mobilenetv4_conv_small"),
    *script(16, 128, "mobilenetv4_hybrid_medium"),
    *script(9, 96, "shufflenet_v2_x0_5", **TORCHVISION),
    *script(11, 96, "ghostnet_050"),
    *script(17, 96, "ghostnetv2_100"),
    *script(12, 96, "mnasnet0_5", **TORCHVISION),
    *script(13, 96, "semnasnet_050", batch=1),
    *dynamo(21, 96, "lcnet_035"),
    *script(14, 96, "rexnet_100"),
    *script(13, 96, "mixnet_s"),
    *script(11, 96, "efficientnet_b0"),
    *script(12, 96, "tf_efficientnet_lite0"),
    *dynamo(18, 96, "tf_efficientnetv2_b0"),
    *script(13, 96, "efficientnetv2_rw_t"),
    *script(9, 96, "regnetx_002"),
    *script(16, 96, "regnety_002"),
    *dynamo(20, 96, "regnetz_b16"),
    *script(11, 96, "repvgg_a0"),
    *script(14, 96, "mobileone_s0"),
    *script(17, 128, "fastvit_t8"),
    *dynamo(19, 96, "repvit_m0_9"),
    *script(16, 96, "starnet_s1"),
    # Convolutions in the manner of transformers, and without normalisation.
    *script(11, 96, "convnext_atto"),
    *dynamo(18, 96, "convnextv2_atto"),
    *script(17, 96, "convnext_tiny", **TORCHVISION),
    *script(13, 96, "inception_next_atto"),
    *script(12, 96, "eca_nfnet_l0"),
    *dynamo(21, 96, "nf_regnet_b0", batch=1),
    *script(16, 96, "convmixer_768_32"),
    *script(17, 96, "poolformer_s12"),
    *dynamo(20, 96, "poolformerv2_s12"),
    *script(12, 128, "focalnet_tiny_srf"),
    *script(14, 96, "mambaout_femto"),
    *script(13, 96, "efficientvit_b0"),
    # Both convolutions and attention.
    *script(17, 128, "edgenext_xx_small"),
    *script(14, 224, "efficientformer_l1"),
    *script(16, 224, "efficientformerv2_s0", batch=1),
    *script(11, 224, "levit_128s", plain_attention=True),
    *dynamo(18, 128, "coatnet_pico_rw_224", batch=1),
    *script(17, 128, "maxvit_pico_rw_256"),
    *script(12, 128, "mobilevit_xxs", plain_attention=True),
    *dynamo(19, 128, "mobilevitv2_050"),
    *script(16, 224, "tiny_vit_5m_224"),
    *script(17, 96, "caformer_s18"),
    *script(13, 96, "swiftformer_xs"),
    *script(14, 96, "visformer_tiny"),
    # Transformers over patches.
    *script(17, 128, "vit_tiny_patch16_224"),
    *script(11, 128, "deit_tiny_patch16_224", plain_attention=True),
    *script(14, 128, "deit_tiny_distilled_patch16_224"),
    *dynamo(18, 128, "deit3_small_patch16_224"),
    *script(16, 128, "vit_little_patch16_reg4_gap_256"),
    *script(17, 128, "beit_base_patch16_224", batch=1, options={"embed_dim": 192, "num_heads": 3}),
    *script(13, 128, "cait_xxs24_224", plain_attention=True),
    *dynamo(20, 112, "eva02_tiny_patch14_224"),
    *script(17, 128, "swin_tiny_patch4_window7_224", batch=1),
    *dynamo(21, 128, "swinv2_tiny_window8_256", batch=1),
    *script(14, 128, "twins_svt_small"),
    *script(17, 128, "pvt_v2_b0"),
    *script(13, 128, "xcit_nano_12_p16_224", plain_attention=True),
    *script(14, 128, "volo_d1_224"),
    *dynamo(19, 224, "hiera_tiny_224", batch=1),
    *script(12, 128, "pit_ti_224", plain_attention=True),
    *script(17, 128, "davit_tiny"),
    # Perceptrons over patches.
    *script(11, 128, "mixer_s32_224"),
    *script(13, 128, "resmlp_12_224"),
    *dynamo(18, 128, "gmlp_ti16_224"),
]
