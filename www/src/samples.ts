/** The synthetic sample pictures that come with the page. */
import type { Session } from './session.ts';
import { make, need } from './view/dom.ts';

interface Sample {
  file: string;
  title: string;
}

const FOLDER = new URL('./samples/', document.baseURI);

/** Offers the samples that samples/index.json lists; without them the page works as well. */
export async function offerSamples(session: Session): Promise<void> {
  const samples = await listed();
  need('sample-list', HTMLUListElement).replaceChildren(
    ...samples.map((sample) => make('li', {}, button(session, sample))),
  );
  need('samples', HTMLElement).hidden = samples.length === 0;
}

async function listed(): Promise<Sample[]> {
  try {
    const response = await fetch(new URL('index.json', FOLDER));
    return response.ok ? ((await response.json()) as Sample[]) : [];
  } catch {
    return [];
  }
}

function button(session: Session, { file, title }: Sample): HTMLButtonElement {
  const image = make('img', { src: new URL(file, FOLDER).href, alt: '', width: 52, height: 52 });
  const button = make(
    'button',
    { type: 'button', className: 'thumb', ariaLabel: title, title },
    image,
  );
  button.dataset['testid'] = 'sample-picture';
  button.addEventListener('click', async () => {
    try {
      const response = await fetch(new URL(file, FOLDER));
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const blob = await response.blob();
      session.add([new File([blob], file, { type: blob.type })]);
    } catch (error) {
      session.complain(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  return button;
}
