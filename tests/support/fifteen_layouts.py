"""The layouts of the public datasets that come with a split file: names of folders, files and classes."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SplitLayout:
    """Classes in label order: a pattern of their pictures' paths and their name in the split file.

    `order` is that of the labels in the split file. A `sorted_test` follows the file names instead. `beside` are files
    that the archives hold and no split names, in the dataset's folder.
    """

    classes: Sequence[tuple[str, str]]
    order: Sequence[int] = ()
    sorted_test: bool = False
    beside: Sequence[str] = ()


STEMS = ("{n}.jpg", "{n}.JPG", "{n} (1) #2+é.Jpeg", "{n}%20&_ü.png")

LAYOUTS = {
    "caltech101": SplitLayout(
        classes=(
            ("Faces/image_{n:04}.jpg", "face"),
            ("Leopards/image_{n:04}.jpg", "leopard"),
            ("Motorbikes/image_{n:04}.jpg", "motorbike"),
            ("accordion/image_{n:04}.jpg", "accordion"),
            ("airplanes/image_{n:04}.jpg", "airplane"),
            ("yin_yang/image_{n:04}.jpg", "yin_yang"),
        ),
        beside=(
            "101_ObjectCategories/BACKGROUND_Google/tmp",
            "101_ObjectCategories/BACKGROUND_Google/image_0001.jpg",
            "101_ObjectCategories/Faces_easy/image_0001.jpg",
        ),
    ),
    "oxford_pets": SplitLayout(
        classes=(
            ("Abyssinian_{n}.jpg", "abyssinian"),
            ("american_bulldog_{n}.jpg", "american_bulldog"),
            ("Birman_{n}.jpg", "birman"),
            ("Egyptian_Mau_{n}.jpg", "egyptian_mau"),
            ("yorkshire_terrier_{n}.jpg", "yorkshire_terrier"),
        ),
        beside=("images/Abyssinian_100.mat", "annotations/list.txt", "annotations/trimaps/._Abyssinian_1.png"),
    ),
    "stanford_cars": SplitLayout(
        classes=(
            ("cars_{part}/{n:05}.jpg", "2000 AM General Hummer SUV"),
            ("cars_{part}/{n:05}.jpg", "2012 Audi TTS Coupe"),
            ("cars_{part}/{n:05}.jpg", "2009 Bugatti Veyron 16.4 Coupe"),
            ("cars_{part}/{n:05}.jpg", "2007 Ford F-150 Regular Cab"),
            ("cars_{part}/{n:05}.jpg", "1993 Mercedes-Benz 300-Class Convertible"),
        ),
        order=(3, 0, 4, 1, 2),
        sorted_test=True,
        beside=("devkit/cars_meta.mat", "cars_test_annos_withlabels.mat"),
    ),
    "oxford_flowers": SplitLayout(
        classes=(
            ("image_{n:05}.jpg", "pink primrose"),
            ("image_{n:05}.jpg", "hard-leaved pocket orchid"),
            ("image_{n:05}.jpg", "colt's foot"),
            ("image_{n:05}.jpg", "passion flower"),
            ("image_{n:05}.jpg", "black-eyed susan"),
        ),
        order=(3, 1, 4, 0, 2),
        beside=("imagelabels.mat", "cat_to_name.json"),
    ),
    "food101": SplitLayout(
        classes=(
            ("apple_pie/{stem}", "apple_pie"),
            ("baby_back_ribs/{stem}", "baby_back_ribs"),
            ("tacos/{stem}", "tacos"),
            ("waffles/{stem}", "waffles"),
        ),
        beside=("meta/classes.txt", "images/.DS_Store"),
    ),
    "sun397": SplitLayout(
        classes=(
            ("a/abbey/sun_a{n:x}.jpg", "abbey"),
            ("a/apartment_building/outdoor/sun_a{n:x}.jpg", "outdoor apartment_building"),
            ("i/ice_skating_rink/indoor/sun_b{n:x}.jpg", "indoor ice_skating_rink"),
            ("i/ice_skating_rink/outdoor/sun_b{n:x}.jpg", "outdoor ice_skating_rink"),
            ("y/youth_hostel/sun_d{n:x}.jpg", "youth_hostel"),
        ),
        beside=("ClassName.txt", "Training_01.txt", "SUN397/a/abbey/sun_unused.jpg"),
    ),
    "dtd": SplitLayout(
        classes=(
            ("banded/banded_{n:04}.jpg", "banded"),
            ("marbled/marbled_{n:04}.jpg", "marbled"),
            ("polka-dotted/polka-dotted_{n:04}.jpg", "polka-dotted"),
            ("zigzagged/zigzagged_{n:04}.jpg", "zigzagged"),
        ),
        beside=("imdb/imdb.mat", "labels/train1.txt", "images/banded/.directory"),
    ),
    "eurosat": SplitLayout(
        classes=(
            ("AnnualCrop/AnnualCrop_{n}.jpg", "Annual Crop Land"),
            ("Forest/Forest_{n}.jpg", "Forest"),
            ("Highway/Highway_{n}.jpg", "Highway or Road"),
            ("SeaLake/SeaLake_{n}.jpg", "Sea or Lake"),
        ),
    ),
    "ucf101": SplitLayout(
        classes=(
            ("Apply_Eye_Makeup/v_ApplyEyeMakeup_g{n:02}_c03.jpg", "Apply_Eye_Makeup"),
            ("Knitting/v_Knitting_g{n:02}_c01.jpg", "Knitting"),
            ("Still_Rings/v_StillRings_g{n:02}_c04.jpg", "Still_Rings"),
            ("Yo_Yo/v_YoYo_g{n:02}_c05.jpg", "Yo_Yo"),
        ),
    ),
}

AIRCRAFT = ("707-320", "F-16A/B", "F/A-18", "MD-11", "Model B200")

WNIDS = {
    "imagenet": (1, 2, 6, 11, 13, 15, 17, 27, 657, 744, 836, 837),
    "imagenet-a": (6, 11, 13, 15, 17, 27),
    "imagenet-r": (1, 2, 6, 11, 13, 657),
}
"""ImageNet's labels; two names stand twice among them."""
