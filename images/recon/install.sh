# Fill /opt/venv: first torch of the wanted kind, then the rest, at the pinned versions.
cd /build
python3 requirements.py pyproject.toml constraints.txt

torch=$(ls /wheels/torch-*.whl 2>/dev/null | head -1)
if [ -z "$torch" ]; then
  torch=$(grep '^torch==' requirements.txt)
fi
/opt/venv/bin/pip install -q --find-links /wheels ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
  -c pins.txt "$torch"
/opt/venv/bin/pip install -q --find-links /wheels -c pins.txt -r requirements.txt
/opt/venv/bin/pip uninstall -q -y setuptools pip
