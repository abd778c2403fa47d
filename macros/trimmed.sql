{% macro trimmed(text) -%}
    {#- nearly every text begins and ends with a plain character, and looking for all
        these blanks takes longer than reading it -#}
    {%- set blanks = ' \\t\\n\\u000b\\u000c\\r\\u0085\\u00a0\\u1680'
        ~ '\\u2000\\u2001\\u2002\\u2003\\u2004\\u2005\\u2006\\u2007\\u2008\\u2009'
        ~ '\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000' -%}
    if(
        left({{ text }}, 1) between '!' and '~'
        and right({{ text }}, 1) between '!' and '~',
        {{ text }},
        trim(both '{{ blanks }}' from {{ text }})
    )
{%- endmacro %}
