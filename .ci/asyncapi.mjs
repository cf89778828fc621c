// Validates an AsyncAPI document with the specification's own parser: every diagnostic is a failure.
import { Parser, fromFile } from '@asyncapi/parser';

const { diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
for (const one of diagnostics) console.error(`${one.code} at /${one.path.join('/')}: ${one.message}`);
console.log(`${process.argv[2]}: ${diagnostics.length} diagnostics`);
process.exitCode = diagnostics.length === 0 ? 0 : 1;
