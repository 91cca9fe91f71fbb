# Sourced in the root of a checkout on a machine that reaches no package index: makes `meshwright` importable, without installing
# it, beside packages that were unpacked into $SITE.
site=${SITE:-/tmp/site}
mkdir -p "$site/meshwright" "$site/meshwright-0.1.0.dist-info"
for part in engines runtime export; do ln -sfn "$PWD/$part" "$site/meshwright/$part"; done
printf 'Metadata-Version: 2.1\nName: meshwright\nVersion: 0.1.0\n' > "$site/meshwright-0.1.0.dist-info/METADATA"
export PYTHONPATH="$site:$PWD${PYTHONPATH:+:$PYTHONPATH}"
