-- If this fails, a report has lost, multiplied or changed sales of the mart that it
-- reads.
{%- set relations = [
    'customers_data_mart',
    'sales_team_data_mart',
    'rpt_sales_by_customer',
    'rpt_sales_by_store_and_month',
    'rpt_sales_by_seller_and_month',
] %}

with

totals as (
    {% for name in relations %}
    select
        '{{ name }}' as relation,
        coalesce(sum(sales_count), 0) as sales_count,
        coalesce(sum(total_sales), 0) as total_sales
    from {{ ref(name) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select
    sort_array(
        collect_list(concat(relation, ': ', sales_count, ' rows, ', total_sales))
    ) as totals_found

from totals

having
    min(sales_count) <> max(sales_count)
    or min(total_sales) <> max(total_sales)
