// node validate_glb.cjs PACKAGE FILE: prints the Khronos validator's report on a GLB file as JSON.
const fs = require('fs');
const validator = require(process.argv[2]);

validator
  .validateBytes(new Uint8Array(fs.readFileSync(process.argv[3])), { maxIssues: 100 })
  .then((report) => process.stdout.write(JSON.stringify(report)))
  .catch((error) => {
    process.stderr.write(String(error));
    process.exit(1);
  });
