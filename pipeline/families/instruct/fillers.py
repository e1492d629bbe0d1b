"""Plain sentences in many languages, from which answers are built.

Tables only.  No sentence has a comma, a digit, a capital but its first letter, or a word of one letter; among the
English ones there are some without each of the common letters.
"""

from collections.abc import Mapping

ENGLISH = (
    "Our group will finish this work on Monday.",
    "Every morning brings new light to quiet streets.",
    "Good tools make hard jobs easy.",
    "Fresh bread cools on some wooden shelf.",
    "We meet where the river bends.",
    "Small birds sat on that tall brick wall.",
    "Trees give shade during summer heat.",
    "My sister grows herbs in tiny pots.",
    "Clouds hung low above our hills.",
    "Seven ships left before sunrise.",
    "Plain words help busy readers.",
    "Soft music filled an empty hall.",
    "Careful notes save time later on.",
    "People wave from crowded trains.",
    "This plan looks solid to us.",
    "Old maps show forgotten roads.",
    "Bees hum near purple flowers.",
    "Few letters reach that remote farm.",
    "Fish swim in bright shallow pools.",
    "Help others whenever you are able.",
    "Big trucks bring bricks and sand.",
    "Cold wind blows from north to south.",
    "Dusk was calm and warm.",
    "Rain fell on our long road.",
    "We will meet her there.",
    "He feeds ducks.",
    "She keeps her feet dry.",
    "Ask my dad for sugar.",
    "Lamps glow softly at dusk.",
    "Most old doors squeak.",
    "Hikers rest under tall pines.",
    "Market stalls sell ripe plums.",
    "Nobody noticed how late it was.",
    "Children paint boats along shore walls.",
    "Simple food tastes best outdoors.",
    "Their bus stops near our gate.",
    "Young goats climb steep rocks.",
    "Bakers start long before dawn.",
    "Stars appear once lights go out.",
    "Snow covers fields until April ends.",
    "Each student brings two pencils.",
    "Neighbours share ladders and seeds.",
    "Warm socks dry near stoves.",
    "Visitors praise our small museum.",
)

CAPITALS = (
    "We think that this is the right way to do it.",
    "There is nothing wrong with the weather today.",
    "The short reply to this question follows.",
    "They walked with their father to the other hall.",
    "What they wanted was what we had.",
    "That would be the right thing to do.",
    "We meet where the river bends.",
    "Few letters reach that remote farm.",
    "Nobody noticed how late it was.",
    "Help others whenever you are able.",
    "We will meet her there.",
)
"""English sentences that the detector takes for English even in capitals, from whichever seed."""

NATIVE: Mapping[str, tuple[str, ...]] = {
    "en": ENGLISH,
    "ar": (
        "الطقس جميل اليوم ونحن نمشي في الحديقة.",
        "يكتب المعلم كلمات جديدة على اللوح.",
        "تشرب جدتي الشاي كل صباح قرب النافذة.",
    ),
    "bg": (
        "Днес времето е хубаво и ние се разхождаме в парка.",
        "Учителят пише нови думи на дъската.",
        "Баба ми пие чай всяка сутрин до прозореца.",
    ),
    "bn": (
        "আজ আবহাওয়া খুব সুন্দর এবং আমরা বাগানে হাঁটছি।",
        "শিক্ষক বোর্ডে নতুন শব্দ লিখছেন।",
        "আমার দাদি প্রতিদিন সকালে জানালার পাশে চা খান।",
    ),
    "de": (
        "Heute ist das Wetter schön und wir gehen im Park spazieren.",
        "Der Lehrer schreibt neue Wörter auf die Tafel.",
        "Meine Oma trinkt jeden Morgen Tee am Fenster.",
    ),
    "es": (
        "Hoy hace buen tiempo y paseamos por el parque.",
        "El maestro escribe palabras nuevas en la pizarra.",
        "Mi abuela bebe té cada mañana junto a la ventana.",
    ),
    "fa": (
        "امروز هوا خوب است و ما در پارک قدم می‌زنیم.",
        "معلم کلمه‌های تازه را روی تخته می‌نویسد.",
        "مادربزرگم هر روز صبح کنار پنجره چای می‌نوشد.",
    ),
    "fi": (
        "Tänään on kaunis ilma ja me kävelemme puistossa.",
        "Opettaja kirjoittaa uusia sanoja taululle.",
        "Isoäitini juo teetä joka aamu ikkunan vieressä.",
    ),
    "fr": (
        "Il fait beau aujourd’hui et nous marchons dans le parc.",
        "Le professeur écrit des mots nouveaux au tableau.",
        "Ma grand-mère boit du thé chaque matin près de la fenêtre.",
    ),
    "gu": (
        "આજે હવામાન સરસ છે અને અમે બગીચામાં ચાલીએ છીએ.",
        "શિક્ષક પાટિયા પર નવા શબ્દો લખે છે.",
        "મારા દાદી દરરોજ સવારે બારી પાસે ચા પીએ છે.",
    ),
    "hi": (
        "आज मौसम बहुत अच्छा है और हम बगीचे में टहल रहे हैं।",
        "अध्यापक तख्ते पर नए शब्द लिख रहे हैं।",
        "मेरी दादी हर सुबह खिड़की के पास चाय पीती हैं।",
    ),
    "it": (
        "Oggi il tempo è bello e camminiamo nel parco.",
        "Il maestro scrive parole nuove sulla lavagna.",
        "Mia nonna beve il tè ogni mattina vicino alla finestra.",
    ),
    "kn": (
        "ಇಂದು ಹವಾಮಾನ ಚೆನ್ನಾಗಿದೆ ಮತ್ತು ನಾವು ಉದ್ಯಾನದಲ್ಲಿ ನಡೆಯುತ್ತಿದ್ದೇವೆ.",
        "ಶಿಕ್ಷಕರು ಹಲಗೆಯ ಮೇಲೆ ಹೊಸ ಪದಗಳನ್ನು ಬರೆಯುತ್ತಾರೆ.",
        "ನನ್ನ ಅಜ್ಜಿ ಪ್ರತಿದಿನ ಬೆಳಿಗ್ಗೆ ಕಿಟಕಿಯ ಬಳಿ ಚಹಾ ಕುಡಿಯುತ್ತಾರೆ.",
    ),
    "ko": (
        "오늘은 날씨가 좋아서 우리는 공원을 걷고 있습니다.",
        "선생님이 칠판에 새로운 낱말을 씁니다.",
        "할머니는 매일 아침 창가에서 차를 마십니다.",
    ),
    "mr": (
        "आज हवामान छान आहे आणि आम्ही बागेत फिरत आहोत.",
        "शिक्षक फळ्यावर नवीन शब्द लिहीत आहेत.",
        "माझी आजी रोज सकाळी खिडकीजवळ चहा पिते.",
    ),
    "ne": (
        "आज मौसम राम्रो छ र हामी बगैंचामा हिँडिरहेका छौं।",
        "शिक्षकले पाटीमा नयाँ शब्दहरू लेख्नुहुन्छ।",
        "मेरी हजुरआमा हरेक बिहान झ्याल नजिक चिया पिउनुहुन्छ।",
    ),
    "pa": (
        "ਅੱਜ ਮੌਸਮ ਬਹੁਤ ਸੋਹਣਾ ਹੈ ਅਤੇ ਅਸੀਂ ਬਾਗ਼ ਵਿੱਚ ਤੁਰ ਰਹੇ ਹਾਂ।",
        "ਅਧਿਆਪਕ ਫੱਟੇ ਉੱਤੇ ਨਵੇਂ ਸ਼ਬਦ ਲਿਖਦੇ ਹਨ।",
        "ਮੇਰੀ ਦਾਦੀ ਹਰ ਸਵੇਰ ਖਿੜਕੀ ਕੋਲ ਚਾਹ ਪੀਂਦੀ ਹੈ।",
    ),
    "pt": (
        "Hoje o tempo está bom e nós caminhamos no parque.",
        "O professor escreve palavras novas no quadro.",
        "Minha avó bebe chá todas as manhãs perto da janela.",
    ),
    "ru": (
        "Сегодня хорошая погода и мы гуляем по парку.",
        "Учитель пишет новые слова на доске.",
        "Моя бабушка каждое утро пьёт чай у окна.",
    ),
    "sw": (
        "Leo hali ya hewa ni nzuri na sisi tunatembea bustanini.",
        "Mwalimu anaandika maneno mapya kwenye ubao.",
        "Bibi yangu hunywa chai kila asubuhi karibu na dirisha.",
    ),
    "ta": (
        "இன்று வானிலை நன்றாக உள்ளது நாங்கள் பூங்காவில் நடக்கிறோம்.",
        "ஆசிரியர் பலகையில் புதிய சொற்களை எழுதுகிறார்.",
        "என் பாட்டி தினமும் காலையில் சன்னல் அருகே தேநீர் குடிக்கிறார்.",
    ),
    "te": (
        "ఈ రోజు వాతావరణం బాగుంది మరియు మేము తోటలో నడుస్తున్నాము.",
        "ఉపాధ్యాయుడు పలకపై కొత్త పదాలు రాస్తున్నాడు.",
        "మా అమ్మమ్మ ప్రతి ఉదయం కిటికీ దగ్గర టీ తాగుతుంది.",
    ),
    "th": (
        "วันนี้อากาศดีและเราเดินเล่นในสวนสาธารณะ.",
        "ครูเขียนคำใหม่บนกระดาน.",
        "คุณยายของฉันดื่มชาทุกเช้าข้างหน้าต่าง.",
    ),
    "ur": (
        "آج موسم بہت اچھا ہے اور ہم باغ میں ٹہل رہے ہیں۔",
        "استاد تختے پر نئے الفاظ لکھ رہے ہیں۔",
        "میری دادی ہر صبح کھڑکی کے پاس چائے پیتی ہیں۔",
    ),
    "vi": (
        "Hôm nay thời tiết đẹp và chúng tôi đi dạo trong công viên.",
        "Thầy giáo viết những từ mới lên bảng.",
        "Bà tôi uống trà mỗi buổi sáng bên cửa sổ.",
    ),
}
"""Sentences by the detector's language codes; each is told apart from its neighbours by the detector."""

LETTER_WORDS: Mapping[str, str] = {
    "a": "banana", "b": "bubble", "c": "accuracy", "d": "added", "e": "eleven", "f": "coffee", "g": "giggle",
    "h": "hush", "i": "visit", "j": "jam", "k": "kick", "l": "little", "m": "mammal", "n": "noon", "o": "onion",
    "p": "puppy", "q": "quick", "r": "mirror", "s": "lessons", "t": "tomato", "u": "usual", "v": "vivid",
    "w": "willow", "x": "box", "y": "yearly", "z": "puzzle",
}  # fmt: skip
"""A word rich in each letter."""
