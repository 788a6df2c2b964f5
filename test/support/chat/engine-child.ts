import { openDatabase } from '../../../infra/db/pool.ts';
import { echoHandler, startEngine } from './engine.ts';

/** Run as a program of its own: speaks for the connectors of a database until it is killed. */
const [url = ''] = process.argv.slice(2);
const database = openDatabase({ url, name: 'chat child' });
await startEngine({ db: database.db, url }, echoHandler(database.db), { leaseMs: 1_500 });
console.log('started');
