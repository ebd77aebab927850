// About: what the labels mean, what they do not, and what happens to the pictures.
import {h} from './dom';
import {language, t} from './i18n';
import type {View} from './view';

const texts = {
  en: [
    ['What it does', 'mien finds the faces in a picture and says which of seven expressions each appears to show: angry, ' +
      'disgust, fear, happy, sad, surprise or neutral, with a probability for each.'],
    ['What it does not do', 'It does not know what a person feels. People smile without being happy and are sad without ' +
      'showing it; the same face means different things in different places and moments. Do not judge, hire, grade, ' +
      'diagnose or police anybody by these labels.'],
    ['Where it errs', 'The model learned from FER-2013, small grey photographs from the web whose labels are often wrong ' +
      'themselves. Children, old people, dark skin, glasses, beards, masks, profile views and poor light are ' +
      'under-represented there, so errors are not spread evenly over people. "Uncertain" marks labels that the model ' +
      'itself would not stand by.'],
    ['Your pictures', 'They go to the server that gave you this page and to nobody else. They are analysed and forgotten, ' +
      'unless you choose to keep them: without an account in this browser, with one on the server. You can delete them, one ' +
      'or all, at any time. In live mode the faces can be found in your browser, so that nothing but them is sent.'],
    ['The law', 'In the European Union people must be told when an emotion recognition system looks at them (AI Act, ' +
      'article 50), and its use at work and in schools is forbidden with few exceptions (article 5).'],
    ['Reading the picture', 'A dashed box and a question mark mean doubt. Quality tells how large, sharp and well lit the ' +
      'crop is: a low quality is a reason to distrust any label.'],
  ],
  id: [
    ['Apa yang dilakukan', 'mien menemukan wajah dalam gambar dan menyebutkan mana dari tujuh ekspresi yang tampak: marah, ' +
      'jijik, takut, senang, sedih, terkejut, atau netral, masing-masing dengan peluangnya.'],
    ['Apa yang tidak dilakukan', 'mien tidak mengetahui perasaan seseorang. Orang tersenyum tanpa merasa senang dan bersedih ' +
      'tanpa memperlihatkannya. Jangan menilai, menerima kerja, memberi nilai, mendiagnosis, atau mengawasi siapa pun ' +
      'berdasarkan label ini.'],
    ['Di mana ia keliru', 'Model belajar dari FER-2013, foto abu-abu kecil dari web yang labelnya sendiri sering salah. ' +
      'Anak-anak, orang tua, kulit gelap, kacamata, janggut, masker, tampak samping, dan cahaya redup kurang terwakili, ' +
      'sehingga kesalahan tidak merata. "Tidak pasti" menandai label yang diragukan oleh model sendiri.'],
    ['Gambar Anda', 'Gambar hanya dikirim ke server yang memberi halaman ini. Gambar dianalisis lalu dilupakan, kecuali ' +
      'Anda memilih menyimpannya: tanpa akun di peramban ini, dengan akun di server. Anda dapat menghapusnya, satu atau ' +
      'semua, kapan saja. Pada mode langsung, wajah dapat dicari di peramban Anda sehingga hanya wajah yang dikirim.'],
    ['Hukum', 'Di Uni Eropa orang harus diberi tahu bila sistem pengenalan emosi melihat mereka (AI Act, pasal 50); ' +
      'pemakaiannya di tempat kerja dan sekolah dilarang dengan sedikit pengecualian (pasal 5).'],
    ['Membaca gambar', 'Kotak putus-putus dan tanda tanya berarti ragu. Mutu menunjukkan seberapa besar, tajam, dan terang ' +
      'potongan wajah: mutu rendah adalah alasan untuk tidak memercayai label apa pun.'],
  ],
} as const;

export function aboutView(): View {
  return {element: h('div', {class: 'prose'}, h('h1', {}, t('aboutTitle')),
    texts[language()].map(([title, text]) => h('section', {}, h('h2', {}, title), h('p', {}, text))))};
}
