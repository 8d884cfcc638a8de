// A gateway with scripted trainings as a process of its own, to be killed: `node test/support/tuning-gateway-cli.ts CONFIG.json PACE.json`.
// It creates one job where there is none, and says its id.
import { uploadChats } from "./tuning-client.ts";
import { tuningGateway } from "./tuning-gateway.ts";

const [config, pace] = process.argv.slice(2).map((text) => JSON.parse(text) as object);
const { client } = await tuningGateway(pace, config);
const { data } = await client.fineTuning.jobs.list();
const job =
  data[0] ??
  (await client.fineTuning.jobs.create({ model: "usergpt", training_file: await uploadChats(client), seed: 1 }));
process.stdout.write(`${job.id}\n`);
