import { describeConnector } from '../contract.ts';
import { startDiscordWorld } from './world.ts';

describeConnector('Discord', startDiscordWorld);
