import { parentPort, workerData } from 'node:worker_threads';
import { vaultFrom } from '../persistence/vault/vault.ts';
import type { ExactMessage, ExactWorkerData } from './exact-search.ts';
import { searchJournals } from './search-journals.ts';

const { query, places, secrets } = workerData as ExactWorkerData;
const say = (message: ExactMessage) => parentPort!.postMessage(message);
const vault = secrets && vaultFrom(secrets);
say({ is: 'done', ...searchJournals(query, { places, vault, report: (reading) => say({ is: 'reading', ...reading }) }) });
