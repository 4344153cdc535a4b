"""What is typed in the cases of :mod:`tests.reliability.command_line`, and what should come of it.

One case per line. ``$T`` trains a small classifier of digits, ``$P`` one of photos, ``$D`` a detector, ``$S`` what
segments, all into ``out``. After ``=>`` stands what a right result shows: words of the output, and files (``@``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from tests.reliability.command_files import COCO, JSON, RECIPES
from vig_pyg.train.recipe import Recipe
from vig_pyg.train.rules import rule_of

TINY = "epochs=1 warmup_epochs=0 conv=gin model_options.depth=1 model_options.channels=16 workers=0"
PYRAMID = "model_options.channels=[8,16] model_options.depths=[1,1] model_options.pools=[2,1] conv=gin batch=2"
ON_PYRAMID = f"epochs=1 warmup_epochs=0 {PYRAMID} model_options.stride=4 model_options.img_size=64 --out out"
WORDS = {
    "T": f"train batch=1024 device_batch=1024 {TINY} --device cpu --out out",
    "P": f"train --recipe digits shift=0 image_size=32 batch=4 device_batch=4 {TINY} --device cpu --out out",
    "D": f"train --recipe scenes_masks --device cpu min_size=32 max_size=64 head_options.channels=16 {ON_PYRAMID}",
    "S": f"train --recipe scenes_segment --device cpu image_size=64 {ON_PYRAMID}",
    "long": "n" * 300,
    "longer": "n" * 5000,
    "study": f"study operators --conv gin --seeds 1 --jobs 1 --device cpu --out out {TINY.replace('conv=gin', '')}",
    "demo": "demo --conv gin --seeds 1 --epochs 1 --out out --device cpu",
}

RIGHT = """
$T => accuracy @out/last/model.safetensors @out/metrics.csv @out/curves.png
$T flip=0 weight_averaging=0.9 layer_decay=0.5 clip_gradient=1 => @out/best/model.safetensors
$T seed=9223372036854775807 => @out/last/model.safetensors
$T clip_gradient=1e30 weight_decay=0 => @out/last/model.safetensors
$T mixup=0.8 cutmix=1 label_smoothing=0 => @out/last/model.safetensors
$T decay_epochs=[1] precision=bf16 => bf16 @out/last/model.safetensors
$T gradient_checkpointing=true repeated_augmentation=3 => @out/last/model.safetensors
$T --out 'new/[red]er/out' => '[red]er' @new/[red]er/out/last/model.safetensors
$T --out empty => @empty/last/model.safetensors
$T --data digits --init run/best => @out/last/model.safetensors
$T --data digits --init plain.pth => @out/last/model.safetensors
$T model_options.depth=null model_options.k=null => @out/last/model.safetensors
$P --data photos => '10 images to train on, 2 held out' @out/last/model.safetensors
$P --data markup => @out/last/model.safetensors
$P --data unicode => @out/last/model.safetensors
$P --data '[/x]' => '[/x]' @out/last/model.safetensors
$P --data with_cut broken_share=0.5 => @out/last/model.safetensors
$P --data photos rand_augment=rand-m9-mstd0.5-inc1 random_erasing=0.5 => @out/last/model.safetensors
$D --data coco => @out/last/model.safetensors
$D --recipe scenes --data coco_markup => @out/last/model.safetensors
$D --recipe scenes --data coco_box_no_segmentation => @out/last/model.safetensors
$S --data masks => @out/last/model.safetensors
$S --data masks_markup => @out/last/model.safetensors
$S --data masks classes=7 => '7 classes' @out/last/model.safetensors
$S --data voc => '21 classes' @out/last/model.safetensors
train --recipe run/recipe.yaml --out out --device cpu => @out/last/model.safetensors
train --out run --resume --device cpu => 'Goes on' Accuracy
train --out only_partial --resume batch=1024 device_batch=1024 $tiny => @only_partial/last/model.safetensors
train --out old_pickles --resume --device cpu => Accuracy
eval run --device cpu --workers 0 --out out => '359 images' @out/classes.csv @out/confusion.csv @out/confusion.png
eval run/last --device cpu --workers 0 --batch 100000 --out out => '359 images' @out/confusion.png
eval markup_names --device cpu --workers 0 --out out => '359 images' @out/classes.csv
eval photo_run --data photos --device cpu --workers 0 --out out => 'of 2 images' @out/confusion.png
eval detect_run --data coco --device cpu --workers 0 --out out => 'ap50' @out/classes.csv @out/figures.json
eval segment_run --data masks --device cpu --workers 0 --out out => 'mean IoU' @out/classes.csv
predict run image.png --device cpu => image.png %
predict run mode_L.png mode_LA.png mode_RGBA.png mode_P.png => mode_P.png %
predict run mode_1.png mode_CMYK.jpg turned.jpg moving.gif => turned.jpg %
predict run lossless.webp mode_I16.png dot.png => dot.png mode_I16.png %
predict run '[/x].png' '[red]y[/].png' 'ünï 字 😀.png' => [/x].png [red]y[/].png 字
predict run -- -dash.png => -dash.png
predict run 'a*.png' => aaaaaaaaaa
predict markup_names image.png => '[/'
predict run image.png --top 99 => image.png
predict run photos --out out.csv => @out.csv
predict run photos --out new/out.jsonl => Written
predict run image.png text.png cut.png empty.png --out out.csv => @out.csv
predict run text.png => 'does not decode'
predict photo_run photos => %
predict detect_run image.png --out out --device cpu => @out/image.png @out/detections.json
predict detect_run '[red]y[/].png' cut.png text.png --out out => 'does not decode' @out/detections.json
predict segment_run image.png --out out => image.png @out/maps/image.png @out/overlays/image.png
predict segment_run '[red]y[/].png' cut.png text.png --out out => 'does not decode' [red]y[/] @out/classes.csv
predict segment_run text.png --out out => 'does not decode'
export run --out out.onnx => @out.onnx
export run --dynamic-batch --out new/out.onnx => @new/out.onnx
export run --to torch-export --out out.pt2 --batch 3 => @out.pt2
export run --to torch-export --out out.pt2 --dynamic-batch => @out.pt2
visualize image.png --weights run --out out.png => @out.png
visualize '[/x].png' --weights run --html --out out.html => @out.html
visualize '[red]y[/].png' mode_P.png --weights run --out 'new/[b].svg' --blocks 1 => @new/[b].svg
visualize image.png --model vig_micro --conv gin --conv edge --node 0,0 --node 7,7 --out out.png => @out.png
info vig_micro => blocks.0 'all'
info vig_tiny --image-size 96 --conv edge => blocks.0
convs => max_relative gatv2
models => vig_tiny pvig_base
$study batch=1024 device_batch=1024 => @out/operators.csv @out/operators.png @out/report.html
$study --jobs 99999999999999999999 batch=1024 device_batch=1024 => @out/report.html
$demo => @out/results.json @out/curves.png @out/report.html
"""

CLEAR = """
train modle=x
train --modle x
train epochs
train =
train =1
train epochs==1
train a.b.c=1
train epochs.x=1
train model_options.=1
train .epochs=1
train 'epochs =1'
train '[/x]=1'
train '\u0000=1'
train $longer=1
train $longer
train model_options.k=[[[[
train model_options={a
train model_options.conv=edge conv=gin
$T model_options.depth=0
$T model_options.depth=-1
$T model_options.depth=1.5
$T model_options.depth=inf
$T model_options.depth=99999999999999999999
$T model_options.channels=0
$T model_options.channels=-16
$T model_options.channels=7
$T model_options.channels=nan
$T model_options.channels=[16]
$T model_options.channels=99999999999
$T model_options.k=0
$T model_options.k=-1
$T model_options.k=65
$T model_options.k=nan
$T model_options.k=[]
$T model_options.k=[1,2,3]
$T model_options.k=text
$T model_options.dilation=0
$T model_options.heads=0
$T model_options.heads=3
$T model_options.epsilon=nan
$T model_options.epsilon=2
$T model_options.norm=nope
$T model_options.act=nope
$T model_options.stem=nope
$T model_options.graph=nope
$T model_options.graph='[/x]'
$T model_options.readout=nope
$T model_options.unknown=1
$T model_options.num_classes=3
$T model_options.pretrained=true
$T model_options.checkpoint_path=plain.pth
$T model_options.device=meta
$T model_options.drop_path_rate=2
$T model_options.img_size=0
$T --model vig_micr
$T --model ''
$T --model '[/x]'
$T --model $longer
$T --model 'ünï'
$T --model vig_micro.nope
$T --model hf-hub:nobody/nothing
$T --model local-dir:run
$T --model ../run
$T conv=maxrelative
$T conv=''
$T conv=':'
$T conv='a:'
$T conv=no_such_module:Name
$T conv=os:nothing
$T conv=os:path
$T conv='[/x]'
$T conv=$longer
$T conv=os:system
$T --recipe nope
$T --recipe ''
$T --recipe photos
$T --recipe image.png
$T --recipe $long
$T --recipe recipes/sound.yml
$T --task nope
$T --task ''
$T --task detect --data digits
$T --task segment --data digits
$T --head yolo
$T --head retinanet --task classify
$T --data nope
$T --data ''
$T --data file
$T --data image.png
$T --data /
$T --data /dev/zero
$T --data fifo.png
$T --data $long
$T --data $longer
$T --data 'ünï 字'
$T --data '\u0000'
$T --data loop.png
$T --data torch/nope
$T --data torch/
$T --data hfds/
$T --data wds/
$T --data wds/empty
$T --data wds/nope
$T --data tfds/nope
$T data_root=file data=torch/cifar10
$T --device meta
$T --device cpu:7
$T --device cuda:99
$T --device ''
$T --device gpu
$T --device 0
$T --device '[/x]'
$T --device cpu:-1
$T --device xla
$T --device $longer
$T --data digits --init nope
$T --data digits --init empty
$T --data digits --init photos
$T --data digits --init image.png
$T --data digits --init text.pth
$T --data digits --init empty.pth
$T --data digits --init list.pth
$T --data digits --init other.pth
$T --data digits --init pickled.pth
$T --data digits --init damaged_weights
$T --data digits --init cut_weights
$T --data digits --init no_weights
$T --data digits --init detect_run
$T --data digits --init last_only
$T --data digits --init $long
$T --data digits --init ''
$T --data digits --init /dev/zero
$T --data digits --init fifo.pth
$T --out run
$T --out photos
$T --out file
$T --out file/out
$T --out /proc/nothing/out
$T --out /dev/null/out
$T --out $long
$T --out $longer
$T --out 'a\u0000b'
$T --out fifo.png
$T --out loop.png
$T optimizer=nope
$T optimizer=''
$T optimizer='[/x]'
$T optimizer=$longer
$T batch=1439
$T batch=7 device_batch=4
$T precision=fp16
$T precision=fp32
$T head=mask_rcnn
$T frozen_norm=true
$T min_size=64
$T head_options.channels=8
$T max_size=7
$T classes=3 --data photos
$T image_size=100000
$T image_size=8193
$T image_size=1
$T image_size=7
$T shift=1000
$T shift=33
$T epochs=99999999999999999999
$T rand_augment=nope
$P --data photos rand_augment=nope
$P --data photos rand_augment=''
$P --data photos rand_augment=rand-m9-mstd0.5-inc1-zz
$P --data photos rand_augment=rand-m999999
$P --data photos batch=11
$P --data photos image_size=3
$P --data photos shift=2
$P --data one_class
$P --data one_each
$P --data empty
$P --data no_images
$P --data differing
$P --data shards_absent
$P --data wds/shards_absent classes=2
$P --data wds/shards_pipe classes=2
$P --data wds/shards_outside classes=2
$P --data wds/shards_text classes=2
$P --data wds/shards_empty classes=2
$P --data wds/shards_deep classes=2
$P --data wds/shards_list classes=2
$P --data wds/shards_absent
$D --data nope
$D --data photos
$D --data empty
$D --data file
$D --data coco_differing
$D --data coco_deep
$D --data coco batch=4
$D --data coco mixup=0.8
$D --data coco image_size=64
$D --data coco head=nope
$D --data coco head_options.nope=1
$D --data coco head_options.channels=0
$D --data coco head_options.channels=-1
$D --data coco head_options.channels=text
$D --data coco head_options.num_classes=3
$D --data coco head_options.min_size=3
$D --data coco min_size=65
$D --data coco --model vgg99
$D --data coco --model vig_micro
$D --data coco model_options.features_only=true
$D --data coco frozen_stages=99
$D --data coco --init run
$D --data coco --init text.pth
$S --data nope
$S --data photos
$S --data coco
$S --data empty
$S --data masks_few_names
$S --data masks_colors
$S --data masks_size
$S --data masks_deep
$S --data masks_text
$S --data masks_empty
$S --data masks_absent
$S --data masks_no_image
$S --data voc_no_list
$S --data voc_absent
$S --data voc_outside
$S --data voc_empty_list
$S --data masks classes=2
$S --data masks batch=99
$S --data masks head_options.nope=1
$S --data masks head=retinanet
$S --data masks image_size=100000
$S --data masks --init detect_run
train --resume
train --resume --out nope --device cpu
train --resume --out empty --device cpu
train --resume --out photos --device cpu
train --resume --out file --device cpu
train --resume --out run epochs=2 --device cpu
train --resume --out run --conv edge --device cpu
train --resume --out run --recipe deit --device cpu
train --resume --out run --task detect --device cpu
train --resume --out detect_run --task classify --device cpu
train --resume --out run seed=1 --device cpu
train --resume --out changed_recipe --device cpu
train --resume --out crafted_recipe --device cpu
train --resume --out $long --device cpu
eval
eval nope
eval run --data nope
eval run --data photos --device cpu --workers 0
eval run --data coco --device cpu
eval photo_run --data digits --device cpu
eval run --batch 0
eval run --batch -1
eval run --batch 1.5
eval run --batch inf
eval run --workers -1
eval run --image-size 0
eval run --image-size 100000 --device cpu
eval run --image-size 99999999999999999999 --device cpu
eval run --device meta
eval run --device cuda:99
eval run --device ''
eval run --out file --device cpu --workers 0
eval run --out file/out --device cpu --workers 0
eval run --out $long --device cpu --workers 0
eval run --out /proc/nothing --device cpu --workers 0
eval run --model vig_tiny
eval empty
eval text.pth
eval plain
eval plain.pth
eval plain.pth --model vig_micro --device cpu
eval detect_run --data photos --device cpu
eval detect_run --data nope --device cpu
eval detect_run --data coco_differing --device cpu
eval detect_run --data coco_markup --device cpu
eval detect_run --data coco --image-size 100000 --device cpu
eval detect_run --data coco --model vig_micro --device cpu
eval segment_run --data photos --device cpu
eval segment_run --data voc --device cpu
eval segment_run --data masks --image-size 100000 --device cpu
predict
predict run
predict run nope.png
predict run empty
predict run '*.nothing'
predict run ''
predict run $long
predict run '\u0000'
predict run image.png --out out.txt
predict run image.png --out out
predict run image.png --out file/out.csv
predict run image.png --out $long.csv
predict run image.png --out folder.png/../photos
predict run image.png --out /proc/nothing/out.csv
predict run image.png --top 0
predict run image.png --top -1
predict run image.png --top inf
predict run image.png --batch 0
predict run image.png --score nan
predict run image.png --score 0.9
predict run image.png --device meta
predict run image.png --device ''
predict run image.png --model vig_tiny
predict detect_run image.png --score nan
predict detect_run image.png --score inf
predict detect_run image.png --score -1
predict detect_run image.png --score 2
predict detect_run image.png --top 3
predict detect_run image.png --model vig_micro
predict detect_run image.png photos/a/0.png photos/b/0.png --out out
predict detect_run image.png --out file
predict detect_run image.png --out $long
predict detect_run nope.png
predict segment_run image.png --score 0.9
predict segment_run image.png --top 3
predict segment_run image.png --out file
predict segment_run image.png --out $long
predict segment_run nope.png
predict nope image.png
predict empty image.png
predict photos image.png
predict image.png image.png
predict text.pth image.png
predict empty.pth image.png
predict list.pth image.png
predict list.pth image.png --model vig_micro
predict other.pth image.png --model vig_micro
predict pickled.pth image.png --model vig_micro
predict plain.pth image.png
predict plain.pth image.png --model vig_tiny
predict plain.pth image.png --model nope
predict fifo.pth image.png --model vig_micro
predict /dev/zero image.png --model vig_micro
predict other_model image.png
predict unknown_model image.png
predict number_model image.png
predict imports image.png
predict imports_deeper image.png
predict few_names image.png
predict text_names image.png
predict odd_args image.png
predict wrong_args image.png
predict unknown_task image.png
predict list_task image.png
predict text_config image.png
predict list_config image.png
predict deep_config image.png
predict damaged_weights image.png
predict cut_weights image.png
predict no_weights image.png
predict last_only image.png
predict detect_imports image.png
predict segment_imports image.png
export
export nope
export run --to tflite
export run --batch 0
export run --batch -1
export run --batch 2 --dynamic-batch
export run --image-size 0
export run --image-size 100000
export run --image-size 99999999999999999999
export run --out file/out.onnx
export run --out photos
export run --out $long.onnx
export run --out /proc/nothing/out.onnx
export run --out ''
export run --out out.pt2
export run --to torch-export --out out.onnx
export run --model vig_tiny
export detect_run
export segment_run
export imports
export detect_imports
export damaged_weights
visualize
visualize nope.png
visualize empty
visualize text.png
visualize empty.png
visualize cut.png
visualize cut.jpg
visualize bomb.png
visualize wide.png
visualize fifo.png
visualize zero.png
visualize loop.png
visualize dangling.png
visualize folder.png
visualize image.png --weights run --out out.jpg
visualize image.png --weights run --out out
visualize image.png --weights run --out ''
visualize image.png --weights run --out out.png --html
visualize image.png --weights run --out file/out.png
visualize image.png --weights run --out $long.png
visualize image.png --weights run --out photos
visualize image.png --weights run --out folder.png
visualize image.png --weights run --blocks 0
visualize image.png --weights run --blocks 9
visualize image.png --weights run --blocks -1
visualize image.png --weights run --blocks ''
visualize image.png --weights run --blocks 1,,2
visualize image.png --weights run --blocks 99999999999999999999
visualize image.png --weights run --blocks '[/x]'
visualize image.png --weights run --blocks $longer
visualize image.png --weights run --node 99,0
visualize image.png --weights run --node -1,0
visualize image.png --weights run --node 1
visualize image.png --weights run --node nan,0
visualize image.png --weights run --node 99999999999999999999,0
visualize image.png --weights run --node '[/x]'
visualize image.png --weights run --node '²,1'
visualize image.png --weights run --blocks '²'
visualize image.png --weights run --image-size 0
visualize image.png --weights run --image-size 100000
visualize image.png --weights run --image-size 5
visualize image.png --weights run --conv gin
visualize image.png --weights run --model vig_tiny
visualize image.png --weights run --model vig_micro --model vig_micro
visualize image.png --weights detect_run
visualize image.png --weights imports
visualize image.png --weights damaged_weights
visualize image.png --model resnet18
visualize image.png --model nope
visualize image.png --model ''
visualize image.png --model '[/x]'
visualize image.png --model vig_micro --conv nope
visualize image.png --model vig_micro --conv '[/x]'
info
info nope
info ''
info resnet18
info '[/x]'
info vig_tiny --conv nope
info vig_tiny --image-size 0
info vig_tiny --image-size 1
info vig_tiny --image-size 7
info vig_tiny --image-size 100000
info vig_tiny --image-size 99999999999999999999
info hf-hub:nobody/nothing
info $longer
models vig
convs edge
nope
--nope
$study epochs=inf
$study epochs=99999999999999999999
$study task=detect
$study task=segment
$study conv=edge
$study seed=3
$study model_options.conv=edge
$study batch=5000 device_batch=5000
$study model_options.k=1000
$study model_options.channels=7
$study --seeds 0
$study --seeds -1
$study --seeds 99999999999999999999
$study --seeds 1.5
$study --jobs 0
$study --jobs -1
$study --device meta
$study --device cuda:99
$study --device cpu:7
$study --conv nope
$study --conv '[/x]'
$study --conv ''
$study --model nope
$study --model resnet18
$study --model ''
$study --data nope
$study --data ''
$study --data coco
$study --data one_class --model vig_micro
$study --recipe nope
$study --recipe recipes/conv.yaml
$study --recipe recipes/nested_conv.yaml
$study --out file
$study --out file/out
$study --out $long
$study --out /proc/nothing
study nope
study ''
study '[/x]'
study all --seeds 0 --device cpu --out out
study models --seeds 0 --device cpu --out out
$demo --epochs 0
$demo --epochs -1
$demo --epochs 1.5
$demo --epochs inf
$demo --epochs 99999999999999999999
$demo --seeds 0
$demo --seeds -1
$demo --seeds 99999999999999999999
$demo --conv nope
$demo --conv ''
$demo --conv '[/x]'
$demo --device meta
$demo --device cuda:99
$demo --device ''
$demo --out file
$demo --out file/out
$demo --out $long
$demo --out /proc/nothing
"""

# What the library may bear, or refuse, at once or when it comes to it.
EITHER = """
$P --data with_bomb
$P --data with_wide
$P --data with_fifo
$P --data with_zero
$P --data with_loop
$P --data with_dangling
$P --data circle
$P --data all_broken
$P --data all_broken broken_share=1
$D --data coco_with_bomb
$D --data coco_with_wide
$D --data coco_with_fifo
$D --data coco_with_zero
$S --data images_with_bomb
$S --data images_with_wide
$S --data images_with_fifo
$S --data images_with_zero
$S --data masks_with_bomb
$S --data masks_with_wide
$S --data masks_with_fifo
$S --data masks_with_zero
$S --data masks_with_cut
predict run fifo.png
predict run zero.png
predict run loop.png
predict run dangling.png
train --resume --out pickled_state --device cpu
predict run /dev/zero
visualize nan.tif
predict run '['
"""

LATE = """
$T learning_rate=1000 weight_decay=1000 model_options.depth=4 batch=48 device_batch=48 learning_rate_batch=1
"""

# No file may become larger than so many bytes, as on a full disk.
FULL = """
5000 $T
60000 $T
100 predict run photos --out out.csv
3000 predict segment_run image.png --out out
3000 predict detect_run image.png --out out
2000 export run --out out.onnx
2000 export run --to torch-export --out out.pt2
2000 visualize image.png --weights run --out out.png
2000 visualize image.png --weights run --html --out out.html
500 eval run --device cpu --workers 0 --out out
500 $study batch=1024 device_batch=1024
2000 $study batch=1024 device_batch=1024
500 $demo
2000 $demo
"""
REFUSED_RECIPES = set(RECIPES) - {"sound", "empty"} | {"bytes", "folder"}
# What COCO's tools do without, or what is used nowhere.
BORNE = {"box_no_segmentation", "mask_short_runs"}

WRONG: dict[type, tuple[str, ...]] = {
    int: (
        "inf",
        "-.inf",
        "nan",
        "1e999",
        "99999999999999999999",
        "-1",
        "-99999999999999999999",
        "''",
        "1.5",
        "one",
        "[1]",
    ),
    float: (".inf", "-.inf", ".nan", "1e999", "-1", "-1e999", "''", "one", "[1]", "{a: 1}"),
    bool: ("2", "perhaps", "''", "[1]", "1.5", "null"),
    list: ("3", "[a]", "[1.5]", "{a: 1}", "[-1]", "[.inf]", "[[1]]", "[2,1]"),
    dict: ("3", "[1]", "text", "''", "[[[]]]"),
}


class Case(NamedTuple):
    """What is typed, what should come of it (``clear``, ``right`` or ``late``), and what a right result shows.

    ``recipe`` is written to ``given.yaml`` before; no file may become larger than ``largest`` bytes.
    """

    line: str
    wanted: tuple[str, ...]
    shown: str = ""
    recipe: str = ""
    largest: int | None = None


def of_keys() -> Iterator[Case]:
    """Yield every key of a recipe with values of another type and out of its range, typed and in YAML by turns."""
    types: dict[str, Any] = get_type_hints(Recipe)
    number = 0
    for each in fields(Recipe):
        kind = (get_args(types[each.name]) or (types[each.name],))[0]
        kind = kind if type(None) in get_args(types[each.name]) else types[each.name]
        task, data = {"classify": ("classify", "digits"), "detect": ("detect", "coco")}[rule_of(each).tasks[0]]
        for value in WRONG.get(get_origin(kind) or kind, ()):
            number += 1
            if number % 2:
                line = f'train --task {task} --data {data} {TINY} --device cpu --out out "{each.name}={value}"'
                yield Case(line.replace("=''", "="), ("clear",), each.name)
            else:
                recipe = f"task: {task}\ndata: {data}\n{each.name}: {value}\n"
                yield Case("train --recipe given.yaml --out out --device cpu", ("clear",), each.name, recipe)


def cases() -> list[Case]:
    """Return all cases, always the same."""
    found = list(of_keys())
    for line in RIGHT.strip().splitlines():
        typed, _, shown = line.partition(" => ")
        found.append(Case(typed.replace("$tiny", TINY), ("right",), shown))
    found += [Case(line, ("clear",)) for line in CLEAR.strip().splitlines()]
    found += [Case(line, ("clear", "late", "right")) for line in EITHER.strip().splitlines()]
    found += [Case(line, ("late",)) for line in LATE.strip().splitlines()]
    for line in FULL.strip().splitlines():
        largest, _, typed = line.partition(" ")
        found.append(Case(typed, ("late", "right"), largest=int(largest)))
    found += [Case(f"train --recipe recipes/{name}.yaml --out out", ("clear",)) for name in sorted(REFUSED_RECIPES)]
    for name in [*COCO, *JSON]:
        wanted = ("clear", "right") if name in BORNE else ("clear",)
        found.append(Case(f"$D --data coco_{name}", wanted))
    return found
