// What equivlib/explorer/page.py puts before the scripts.
declare const VERSION: string;
declare const STYLE: string;
declare const COLOURS: string[];
