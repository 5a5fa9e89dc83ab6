/** Files to keep of what is shown: pictures, map, signed report, and the model's gradient graph. Null where the engine failed, which the page says. */
import type { Session } from '../session.ts';
import { sign } from '../signer.ts';
import type { Report } from '../types.ts';
import type { Keepsake, Look } from '../protocol.ts';
import { bare, nameOf, options, type Picture, type Question } from './visit.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** The loaded model's gradient graph at the chosen layer and, with `input`, at the pixels: an ONNX file. */
export async function gradientGraph(session: Session, input: boolean): Promise<Bytes | null> {
  const { loaded, question } = session;
  if (!loaded) return null;
  const name = nameOf(loaded.source);
  const answer = await session.request(name, 'graph', { layer: question.layer, input });
  return answer?.bytes ?? null;
}

/** The current report with this browser's signature. */
export async function signedReport(session: Session): Promise<Report | null> {
  const report = session.report();
  if (!report) return null;
  const name = 'the signature';
  const answer = await session.request(name, 'canonical', { report: JSON.stringify(report) });
  if (!answer) return null;
  try {
    return { ...report, signature: await sign(answer.bytes) };
  } catch (error) {
    session.complain(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** A file of what is shown, as the engine writes it. */
export async function save(session: Session, what: Keepsake): Promise<Bytes | null> {
  if (!session.shown) return null;
  const { look } = session;
  const { picture, options } = session.shown;
  const request = { picture: bare(picture), options, look, what };
  const answer = await session.request(picture.file.name, 'save', request);
  return answer?.bytes ?? null;
}

/** The same of any picture, under this question. */
export async function saveOf(
  session: Session,
  picture: Picture,
  question: Question,
  look: Look,
  what: Keepsake,
  signal: AbortSignal,
): Promise<Bytes | null> {
  if (!session.loaded) return null;
  const wanted = options(picture, { ...question, class: picture.class }, session.loaded);
  const request = { picture: bare(picture), options: wanted, look, what };
  const answer = await session.request(picture.file.name, 'save', request, { signal });
  return answer?.bytes ?? null;
}
