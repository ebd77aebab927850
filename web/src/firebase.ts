// Signing in with Firebase, where the deployer configured it: fetched when somebody signs in, and not before. Firebase says who
// it is; from then on our own tokens hold, so nothing of Firebase's is kept here.
import {FirebaseError, initializeApp} from '@firebase/app';
import {connectAuthEmulator, createUserWithEmailAndPassword, initializeAuth, inMemoryPersistence, signInWithEmailAndPassword,
  updateProfile, type Auth} from '@firebase/auth';
import {Problem, type FirebaseProject, type ProblemKind} from './api';

const KINDS: Record<string, ProblemKind> = {
  'auth/invalid-credential': 'sign-in',
  'auth/wrong-password': 'sign-in',
  'auth/user-not-found': 'sign-in',
  'auth/email-already-in-use': 'exists',
  'auth/network-request-failed': 'sign-in-away',
  'auth/too-many-requests': 'busy',
};

let auth: Auth | null = null;

function open(project: FirebaseProject): Auth {
  const made = initializeAuth(initializeApp({apiKey: project.api_key, projectId: project.project}),
    {persistence: inMemoryPersistence});
  if (project.emulator) connectAuthEmulator(made, `http://${project.emulator}`, {disableWarnings: true});
  return made;
}

/** The ID token of somebody who signs in, or registers when a name is given. Throws a Problem. */
export async function identify(project: FirebaseProject, email: string, password: string, name: string | null): Promise<string> {
  auth ??= open(project);
  try {
    const {user} = await (name === null ? signInWithEmailAndPassword : createUserWithEmailAndPassword)(auth, email, password);
    if (name) await updateProfile(user, {displayName: name});
    const token = await user.getIdToken(Boolean(name)); // a new one has the name in it
    await auth.signOut();
    return token;
  } catch (error) {
    if (!(error instanceof FirebaseError)) throw error;
    throw new Problem(KINDS[error.code] ?? 'other', error.message);
  }
}
