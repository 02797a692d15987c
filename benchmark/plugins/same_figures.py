"""Changes of a method's code that change no figure, so that runs recorded before stay valid.

A row is added when a module of methods/ is rewritten and its runs in fp32 give the same bits as before. When the module
changes again, its row no longer applies; a test demands that it is then removed or renewed.
"""

SAME_FIGURES = {
    # clip_lora.py
    "114dd6e5f6a62c9543fe81ede9e7125b7977d5211190f9e10142eba90b617dd5": (
        "6b7d13e5c1792c61bf5a6a8ad46c9081c7c206c0bb58a43fc16b88194c1519c1"
    ),
    # cocoop.py
    "d21f8bef14a8d6fcccf7c53b8f9c7126bf11612f255ab8d7f4426d7fcaf4906e": (
        "86f88799c5370426a79bfc73edf7013f01ec1b01cf25bcb1be2c20671046f4fb"
    ),
    # dear.py; with other attributes than the paper's five its settings differ, and so do the keys
    "9e315a7dd05728962094836a02a32f835f39a76386e7b77eddf1e66d0e3dc37a": (
        "f20ad0c7cabf5b05fc9d27e849ec8b981d01bd67b42912c1f30dd453baa438d6"
    ),
    # dept.py
    "ef7fcd66db52527ca6d0a00d3390488e795c5942f949cc260050feac3bf894ed": (
        "e2d79e0da43dcfa2cfad15ec27f84aea96252969fdde3172d5d0e178bc351b53"
    ),
    # linear_probe.py
    "ec0ae642a03434a59ae2b6cb944bac68edd70fcdb771345e192fbf54d5586169": (
        "31e2310debcab531ebe185e16580b37cc88864e786bea6f830e7388bcd4a5575"
    ),
    # mmrlpp.py
    "d7a1301c3bda4c533d1ce8b90afdab42a0bed4338e137e40f5f398d33b5d2fa5": (
        "842473cf6bfe93113330eca94ede22434f892026b2cd67406e6ab3690f66329f"
    ),
    # rada_test_time.py
    "79fd9eaf5eaa479fbaf20642532b6541eff2a9c546cd41c41b09ddcd6a67ad9b": (
        "ac967f07fa7a10b8639849b8b92cb1579f2b2b4ada16de8c93832c18e36cf33f"
    ),
}
"""The digest of a module's code (see `source_digest`) -> the digest that counts in its place.

Of all: logits are computed in float32 in mixed precision, too. Runs in bf16 and fp16 are run again, since
`MIXED_PRECISION_VERSION` was raised.
"""
