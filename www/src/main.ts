/** The page: one session, and views that follow it. */
import { openDoors } from './intake.ts';
import type { ShippedModel } from './protocol.ts';
import { offerSamples } from './samples.ts';
import { Session } from './session.ts';
import { Doubts } from './session/doubts.ts';
import { ChecksView } from './view/checks.ts';
import { ChoicesView } from './view/choices.ts';
import { CompareView } from './view/compare.ts';
import { DownloadsView } from './view/downloads.ts';
import { ExportsView } from './view/exports.ts';
import { HideView } from './view/hide.ts';
import { Keys } from './view/keys.ts';
import { offerLanguages } from './view/language.ts';
import { LookView } from './view/look.ts';
import { ModelView } from './view/model.ts';
import { OfflineView } from './view/offline.ts';
import { OptionsView } from './view/options.ts';
import { ProblemsView } from './view/problems.ts';
import { ProgressView } from './view/progress.ts';
import { ScoresView } from './view/scores.ts';
import { SeenView } from './view/seen.ts';
import { SettingsView } from './view/settings.ts';
import { BarView } from './view/stage/bar.ts';
import { StageView } from './view/stage/stage.ts';
import { TrayView } from './view/tray.ts';
import { WindowView } from './view/window.ts';
import type {} from './window.ts';

/** The classifiers that come with the page, the first to begin with. */
const MODELS = [
  { ...shipped('covid-xray'), about: 'Covid-19, EfficientNet-Lite0 (7 MB)' },
  { ...shipped('covid-xray-inception'), about: 'Covid-19, InceptionV3 (44 MB)' },
  { ...shipped('shortcut-xray'), about: 'Covid-19, bad on purpose (7 MB)' },
];

const session = new Session({ colormap: 'inferno', opacity: 0.5 }, [shipped('lungs')], () => {
  for (const view of views) view.update(session);
});

const doubts = new Doubts();
const stage: StageView = new StageView(session, () => bar.moved(stage));
const bar = new BarView(session, () => stage);

const views: { update(session: Session): void }[] = [
  new ModelView(session, MODELS),
  new ProgressView(session),
  new ProblemsView(session),
  new TrayView(session),
  stage,
  bar,
  new ScoresView(session),
  new ChoicesView(session),
  new OptionsView(session),
  new CompareView(session, MODELS),
  new LookView(session),
  new WindowView(session),
  new SeenView(),
  new ChecksView(session, doubts),
  new HideView(session),
  new ExportsView(session),
  new DownloadsView(session, doubts),
  new SettingsView(session),
  new OfflineView(),
];

offerLanguages();
window.gradlens = {
  report: () => session.report(),
  compared: () => session.comparison?.shown?.explanation.report ?? null,
};
new Keys(session, stage);
openDoors(session);
void offerSamples(session);

const [first] = MODELS;
if (first) void session.loadModel({ kind: 'shipped', ...first });

/** A model that comes with the page. */
function shipped(name: string): ShippedModel {
  const folder = new URL(`./models/${name}/`, document.baseURI);
  return {
    name,
    model: new URL('model.onnx', folder).href,
    manifest: new URL('manifest.json', folder).href,
  };
}
