import { createDiscordConnector } from '../../../infra/connectors/discord/connector.ts';
import { openDatabase } from '../../../infra/db/pool.ts';
import { echoHandler, startEngine } from './engine.ts';

/** Run as a program of its own: speaks for the Discord bots of a database until it is killed. */
const [url = ''] = process.argv.slice(2);
const database = openDatabase({ url, name: 'discord child' });
await startEngine({ db: database.db, url }, echoHandler(database.db), {
  leaseMs: 1_500,
  factories: { discord: createDiscordConnector },
});
console.log('started');
