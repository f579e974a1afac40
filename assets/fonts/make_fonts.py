#!/usr/bin/env python3
"""Makes the fonts in this folder from their originals; needs fonttools.

    apt-get download fonts-inter && dpkg -x fonts-inter_*.deb inter
    cargo fetch            # the crate egui-phosphor 0.14 brings Phosphor.ttf; any copy will do
    python3 assets/fonts/make_fonts.py inter/usr/share/fonts/opentype/inter Phosphor.ttf

Inter is cut down to Latin, Greek and Cyrillic, and its tabular figures become the ordinary ones, because egui does
not switch OpenType features.
Phosphor is cut down to the icons that src/app/icons.rs names.
"""

import re
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

HERE = Path(__file__).parent
TEXT = [
    *range(0x20, 0x7F), *range(0xA0, 0x250), *range(0x2B0, 0x300), *range(0x370, 0x530), *range(0x1E00, 0x2000),
    *range(0x2000, 0x2070), *range(0x2070, 0x20D0), *range(0x2100, 0x2150), *range(0x2190, 0x2200),
    *range(0x2200, 0x2300), 0x25A0, 0x25CF, 0xFFFD,
]


def cut(font, codepoints):
    options = subset.Options()
    options.layout_features = ["kern", "mark", "mkmk", "ccmp"]
    options.name_IDs = ["*"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=codepoints)
    cutter.subset(font)


def tabular(font):
    """Points every character that has a tabular form at that form."""
    gsub = font["GSUB"].table
    lookups = {i for f in gsub.FeatureList.FeatureRecord if f.FeatureTag == "tnum" for i in f.Feature.LookupListIndex}
    swap = {}
    for i in lookups:
        for table in gsub.LookupList.Lookup[i].SubTable:
            swap.update(getattr(getattr(table, "ExtSubTable", table), "mapping", {}))
    for table in font["cmap"].tables:
        for code, name in list(table.cmap.items()):
            if chr(code).isdigit():
                table.cmap[code] = swap.get(name, name)


def main(inter, phosphor):
    for weight in ("Regular", "SemiBold"):
        font = TTFont(Path(inter) / f"Inter-{weight}.otf")
        tabular(font)
        cut(font, TEXT)
        font.save(HERE / f"Inter-{weight}.otf")
    source = (HERE / "../../src/app/icons.rs").read_text()
    codepoints = [int(c, 16) for c in re.findall(r"\\u\{(E[0-9A-F]{3})\}", source)]
    font = TTFont(phosphor)
    cut(font, codepoints)
    font.save(HERE / "Phosphor.ttf")


if __name__ == "__main__":
    main(*sys.argv[1:3])
