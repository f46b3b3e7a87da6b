// Runs the published audit suite of GraphQL over HTTP against a server whose
// introspection is on:
//
//   npm ci && node audit.mjs http://localhost:8080/graphql
//
// Prints each audit that is not met. Exit code 1 when a MUST or SHOULD is not
// met, or the server does not answer; 2 on wrong usage. Audits that are a MAY do
// not fail: they ask for GET, which Pawl does not have.
import { serverAudits } from 'graphql-http';

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node audit.mjs URL');
  process.exit(2);
}

const count = { ok: 0, warn: 0, error: 0, notice: 0 };
let failed = 0;
for (const audit of serverAudits({ url, fetchFn: fetch })) {
  let result;
  try {
    result = await audit.fn();
  } catch (error) {
    result = { status: 'error', reason: String(error.cause ?? error) };
  }
  count[result.status]++;
  if (result.status === 'ok') continue;
  const binding = /^(MUST|SHOULD)\b/.test(audit.name);
  if (binding) failed++;
  console.log(`${binding ? 'FAILED' : 'not met'}  ${audit.id}  ${audit.name}: ${result.reason}`);
}
const total = Object.values(count).reduce((a, b) => a + b);
console.log(`${count.ok} of ${total} audits met, ${failed} MUST or SHOULD failed`);
process.exit(failed > 0 ? 1 : 0);
