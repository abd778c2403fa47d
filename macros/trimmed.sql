{% macro trimmed(text) -%}
    {#- nearly every text begins and ends with a plain character, and looking for all
        these blanks takes longer than reading it -#}
    if(
        {{ text }} between '!' and '~'
        and right({{ text }}, 1) between '!' and '~',
        {{ text }},
        {{ without_blanks(text) }}
    )
{%- endmacro %}
