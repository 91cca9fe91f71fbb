"""Makes the workers of a server break when a test wants it: what runs in them before anything else (as `sitecustomize`).

A file of one of these names in $BREAKS says how the next task goes; it is taken away first.
"""

SITE = '''
import os, sys, time

if "meshwright.runtime.server.worker" in sys.orig_argv:
    from meshwright.engines.errors import DeviceLost
    from meshwright.runtime.pipeline import Pipeline

    generate = Pipeline.generate

    def broken(self, *args, **options):
        for name in os.listdir(os.environ["BREAKS"]):
            os.unlink(os.path.join(os.environ["BREAKS"], name))
            if name == "lost":
                raise DeviceLost("the GPU does not answer any more")
            time.sleep(1000)  # "hang": the lease is still renewed, by its own thread
        return generate(self, *args, **options)

    Pipeline.generate = broken
'''
